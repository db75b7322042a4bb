//! Runs a handler as an AppSync resolver: `arguments` parsed into the handler's type, expected failures
//! returned as documents, faults failing the invocation so that alarms fire.

use std::rc::Rc;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::{Instrument, error, info, info_span};

use crate::caller::User;
use crate::failure::ResolverError;
use crate::panic::caught;
use crate::{
    Caller, CorrelationId, Failure, Invocation, Role, UserId, read_fields, refuse_card_numbers,
    start_tracing, within,
};

/// The context object a resolver is invoked with (only what we read of it).
#[derive(Debug, Deserialize)]
struct Context {
    #[serde(default)]
    arguments: Value,
    identity: Option<Identity>,
    #[serde(default)]
    request: Request,
    info: Info,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    /// Set by our Lambda authorizer (`authorize-graphql`).
    resolver_context: Option<ResolverContext>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResolverContext {
    user_id: String,
    roles: String,
}

#[derive(Debug, Default, Deserialize)]
struct Request {
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    field_name: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer<R> {
    Value(R),
    Error(ResolverError),
}

/// Runs `handler` for every invocation of this process, for as long as Lambda keeps it.
pub async fn resolver<A, R, H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    A: DeserializeOwned,
    R: Serialize,
    H: AsyncFn(Caller, A) -> Result<R, Failure>,
{
    start_tracing();
    let handler = Rc::new(handler);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Context>| {
        let handler = Rc::clone(&handler);
        let time = Invocation::now(&event.context).time();
        async move { within(time, answer(&*handler, event.payload)).await }
    }))
    .await
}

async fn answer<A, R, H>(handler: &H, context: Context) -> Result<Answer<R>, Diagnostic>
where
    A: DeserializeOwned,
    H: AsyncFn(Caller, A) -> Result<R, Failure>,
{
    let field = context.info.field_name.clone();
    let caller = caller(&context);
    let correlation_id = caller.correlation_id;
    let span = info_span!("resolver", field, %correlation_id);
    let answering = async {
        refuse_card_numbers(&context.arguments)?;
        handler(caller, read_fields(context.arguments)?).await
    };
    // Uncaught, the runtime would tell the caller the panic's message.
    let result = caught(answering).instrument(span.clone()).await;
    let _entered = span.enter();
    match result {
        Ok(value) => Ok(Answer::Value(value)),
        Err(Failure::Fault(cause)) => {
            error!(cause = Failure::Fault(cause).causes(), "fault");
            let error_message = format!("internal error, correlation id {correlation_id}");
            Err(Diagnostic { error_type: "Fault".into(), error_message })
        }
        Err(failure) => {
            info!(error_type = failure.error_type(), "refused");
            Ok(Answer::Error(failure.to_resolver_error(correlation_id)))
        }
    }
}

fn caller(context: &Context) -> Caller {
    let header = |name: &str| {
        let found = context.request.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_str())
    };
    let user =
        context.identity.as_ref().and_then(|identity| identity.resolver_context.as_ref()).and_then(|c| {
            let id: UserId = c.user_id.parse().ok()?;
            let roles = c.roles.split(',').filter_map(|role| role.parse::<Role>().ok()).collect();
            Some(User { id, roles })
        });
    Caller {
        user,
        correlation_id: header("x-correlation-id")
            .and_then(|id| id.parse().ok())
            .unwrap_or_else(CorrelationId::new),
        source_ip: header("x-forwarded-for").map(|list| viewer(list).to_owned()),
        at: chrono::Utc::now(),
    }
}

/// The address that a request came from, of the list in `x-forwarded-for`. AppSync stands behind CloudFront: the last
/// entry is an edge, which many people share; the one before is what the edge saw; older ones are the client's claims.
fn viewer(forwarded_for: &str) -> &str {
    let mut latest_first = forwarded_for.rsplit(',').map(str::trim);
    let edge = latest_first.next().unwrap_or_default();
    latest_first.next().unwrap_or(edge)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    struct Arguments {
        input: String,
    }

    /// What a request with that input is answered, and what is logged of it.
    async fn answered(input: &str) -> (Result<Value, Diagnostic>, Vec<Value>) {
        let handler = async |_: Caller, arguments: Arguments| match arguments.input.as_str() {
            "panic" => panic!("password=hunter2"),
            input => Ok(input.len()),
        };
        let context = json!({ "arguments": { "input": input }, "info": { "fieldName": "f" } });
        let Ok(context) = serde_json::from_value(context) else { panic!("no context") };
        let (answer, lines) = crate::telemetry::lines_of(answer(&handler, context)).await;
        (answer.map(|answer| json!(answer)), lines)
    }

    #[tokio::test]
    async fn a_card_number_reaches_no_handler_and_no_log() {
        let (answer, lines) = answered("my 4242 4242 4242 4242").await;
        let answer = answer.unwrap_or_default();
        assert_eq!(answer["errorMessage"], "input: must not hold a card number");
        assert_eq!(answer["errorInfo"]["field"], "input");
        assert!(!json!([answer, lines]).to_string().contains("4242"), "{answer} {lines:?}");
        assert_eq!(answered("my 4242 4242 4242 4241").await.0.ok(), Some(json!(22)));
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_that_the_log_alone_knows_of() {
        let (answer, lines) = answered("panic").await;
        let told = answer.err().map(|told| (told.error_type, told.error_message)).unwrap_or_default();
        assert_eq!(told.0, "Fault");
        assert!(told.1.starts_with("internal error, correlation id"), "{told:?}");
        assert_eq!(lines[0]["cause"], "internal error: panicked: password=hunter2");
    }

    #[test]
    fn a_caller_is_known_by_the_address_that_the_edge_saw() {
        assert_eq!(viewer("203.0.113.9, 130.176.1.1"), "203.0.113.9");
        assert_ne!(viewer("203.0.113.9, 130.176.1.1"), viewer("203.0.113.10, 130.176.1.1"));
        assert_eq!(viewer("10.0.0.1, 203.0.113.9, 130.176.1.1"), "203.0.113.9");
        assert_eq!(viewer("203.0.113.9"), "203.0.113.9");
    }
}
