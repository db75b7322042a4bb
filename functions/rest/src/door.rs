//! Runs a handler as a function behind an HTTP API: who asks is told by the bearer token, what is asked is read into the
//! handler's type, and whatever comes of it is told in the envelope. Nothing that a client sends fails the invocation.

use std::rc::Rc;

use lambda_http::Body;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::http::HeaderMap;
use lambda_http::http::header::WWW_AUTHENTICATE;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::{
    Caller, CorrelationId, Failure, Invocation, MissingSetting, Timestamp, User, caught, start_tracing,
    within,
};
use tracing::{Instrument, info, info_span};
use user::AccessTokenVerifier;

use crate::answer::{Reply, Response, respond};
use crate::edge::Edge;
use crate::refusal::Refusal;
use crate::request::Request;

/// Runs `handler` for every request of this process that bears a good access token, for as long as Lambda keeps it;
/// what it gives is the answer's data. Its `A` is read from path, query and body; the caller always has a user.
pub async fn route<A, T, H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    A: DeserializeOwned,
    T: Serialize,
    H: AsyncFn(Caller, A) -> Result<T, Failure>,
{
    route_reply(async move |caller, fields| handler(caller, fields).await.map(Reply::of)).await
}

/// [`route`] for a handler that chooses status and headers as well.
pub async fn route_reply<A, T, H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    A: DeserializeOwned,
    T: Serialize,
    H: AsyncFn(Caller, A) -> Result<Reply<T>, Failure>,
{
    start_tracing();
    let door = Door::from_env().await?;
    serve(async move |request| door.answer(&handler, request, chrono::Utc::now()).await).await
}

/// Runs `handler` for every request, whoever sends it: it proves the sender itself, and the caller has no user. Bodies
/// are no larger than those of routes, and of any type.
pub async fn open<T, H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    T: Serialize,
    H: AsyncFn(Caller, Request) -> Result<Reply<T>, Failure>,
{
    start_tracing();
    serve(async move |request| open_answer(&handler, request, chrono::Utc::now()).await).await
}

/// What [`open`] answers to `request`, which arrived `at`.
pub async fn open_answer<T, H>(handler: &H, request: Request, at: Timestamp) -> Response
where
    T: Serialize,
    H: AsyncFn(Caller, Request) -> Result<Reply<T>, Failure>,
{
    let mut response = answered(request, async |request, correlation_id| {
        let caller = request.caller(None, correlation_id, at);
        // Boxed: the AWS clients' futures nest deeper than the compiler follows.
        Ok(Box::pin(handler(caller, request)).await?)
    })
    .await;
    // A token, which that would ask for, opens nothing here.
    response.headers_mut().remove(WWW_AUTHENTICATE);
    response
}

/// Who may enter.
pub struct Door {
    verifier: AccessTokenVerifier,
    edge: Edge,
}

impl Door {
    /// Opened by tokens that `verifier` takes; with no edge before it.
    pub fn new(verifier: AccessTokenVerifier) -> Self {
        Self { verifier, edge: Edge::default() }
    }

    /// From `JWT_VERIFYING_SECRET_ARN`, `JWT_ISSUER` and `JWT_AUDIENCE`, and `EDGE_KEY` where there is an edge; reads no
    /// secret yet.
    pub async fn from_env() -> Result<Self, MissingSetting> {
        let verifier = AccessTokenVerifier::from_env(&shared::aws_config().await)?;
        Ok(Self { verifier, edge: Edge::from_env() })
    }

    /// What [`route_reply`] answers to `request`, which arrived `at`.
    pub async fn answer<A, T, H>(&self, handler: &H, request: Request, at: Timestamp) -> Response
    where
        A: DeserializeOwned,
        T: Serialize,
        H: AsyncFn(Caller, A) -> Result<Reply<T>, Failure>,
    {
        answered(request, async |request, correlation_id| {
            let user = Box::pin(self.user(&request, at)).await?;
            let fields = request.fields()?;
            let mut caller = request.caller(Some(user), correlation_id, at);
            caller.source_ip = self.edge.viewer(&request);
            // Boxed, as above: the AWS clients' futures nest deeper than the compiler follows.
            Ok(Box::pin(handler(caller, fields)).await?)
        })
        .await
    }

    async fn user(&self, request: &Request, at: Timestamp) -> Result<User, Refusal> {
        let token = request.token().ok_or(Failure::Unauthenticated("send an access token"))?;
        match self.verifier.verify(token, at).await? {
            Ok(verified) => Ok(User { id: verified.user, roles: verified.roles }),
            Err(rejected) => {
                info!(reason = %rejected, "token rejected");
                Err(Refusal::BadToken)
            }
        }
    }
}

/// What comes of `work`, in the envelope; a panic is a fault of this request alone.
async fn answered<T: Serialize>(
    request: Request,
    work: impl AsyncFnOnce(Request, CorrelationId) -> Result<Reply<T>, Refusal>,
) -> Response {
    let correlation_id = request.correlation_id();
    let span = info_span!("route", route = request.route, %correlation_id);
    let working = async {
        if request.is_too_large() {
            return Ok(Err(Refusal::BodyTooLarge));
        }
        Ok(work(request, correlation_id).await)
    };
    let result = caught(working).instrument(span.clone()).await;
    span.in_scope(|| respond(result.unwrap_or_else(|fault| Err(fault.into())), correlation_id))
}

pub(crate) async fn serve(answer: impl AsyncFn(Request) -> Response) -> Result<(), lambda_runtime::Error> {
    let answer = Rc::new(answer);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Request>| {
        let answer = Rc::clone(&answer);
        let time = Invocation::now(&event.context).time();
        async move { Ok::<_, lambda_runtime::Error>(for_gateway(within(time, answer(event.payload)).await)) }
    }))
    .await
}

fn for_gateway(response: Response) -> ApiGatewayV2httpResponse {
    let (parts, body) = response.into_parts();
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = parts.status.as_u16().into();
    answer.headers = parts.headers;
    answer.multi_value_headers = HeaderMap::new();
    answer.body = Some(Body::Text(body));
    answer
}
