//! A client's way through the front doors, as a sane one goes it: what is unavailable is asked again when it says, what
//! broke is asked again, and a clear refusal is an answer.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::Slot;
use super::race::Race;
use crate::Result;
use crate::accounts::Account;
use crate::stack::Stack;

/// Who is told to wait longer gives up.
const PATIENCE_SECONDS: u64 = 30;
const MOST_TRIES: usize = 25;
const AGAIN: Duration = Duration::from_millis(100);

/// The names of the kinds of requests: of the functions that answer them.
pub(super) const GATES: [&str; 8] = [
    "hold-slot",
    "release-hold",
    "confirm-booking",
    "cancel-booking",
    "rest-hold-slot",
    "rest-release-hold",
    "rest-confirm-booking",
    "rest-cancel-booking",
];

/// Which front door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    GraphQl,
    Rest,
}

/// What is asked.
pub(super) enum Ask<'a> {
    Hold(&'a Slot),
    Release(&'a str),
    Confirm { token: &'a str, card: Option<&'a str> },
    Cancel(&'a str),
}

/// What it came to: data, or the code of a clear refusal.
pub(super) type Answer = std::result::Result<Value, String>;

/// What one try came to.
enum Try {
    Answered(Answer),
    /// With the code, and whole seconds to wait where they were told.
    Later(String, Option<u64>),
    /// No answer came.
    Broken,
}

/// One driver's.
pub(super) struct Caller {
    http: reqwest::Client,
    door: Door,
    graphql_url: String,
    rest_url: String,
    token: String,
    race: Arc<Race>,
}

impl Caller {
    /// From an address of its own: limits are of addresses, too.
    pub(super) fn new(
        stack: &Stack,
        account: &Account,
        door: Door,
        number: usize,
        race: &Arc<Race>,
    ) -> Result<Self> {
        let [.., high, low] = u32::try_from(number)?.to_be_bytes();
        let address = Ipv4Addr::new(127, 1, high, low);
        Ok(Self {
            http: reqwest::Client::builder()
                .local_address(std::net::IpAddr::from(address))
                .timeout(Duration::from_secs(60))
                .build()?,
            door,
            graphql_url: stack.graphql_url.clone(),
            rest_url: stack.http_url.trim_end_matches('/').to_owned(),
            token: account.token.clone(),
            race: Arc::clone(race),
        })
    }

    /// Asks until there is a clear answer; what is none of a sane server's fails.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Answer> {
        let gate = ask.gate(self.door);
        let mut last = String::new();
        for _ in 0..MOST_TRIES {
            let tried = {
                let _permit = self.race.pass(gate).await?;
                self.try_once(ask).await.map_err(|error| format!("{gate}: {error}"))?
            };
            self.race.answered.fetch_add(1, Ordering::Relaxed);
            match tried {
                Try::Answered(answer) => return Ok(answer),
                Try::Later(code, Some(seconds)) if seconds > PATIENCE_SECONDS => return Ok(Err(code)),
                Try::Later(code, seconds) => {
                    self.race.count("told to come later");
                    tokio::time::sleep(seconds.map_or(AGAIN, Duration::from_secs)).await;
                    last = code;
                }
                Try::Broken => {
                    self.race.count("broken connections");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        Err(format!("{gate}: no clear answer in {MOST_TRIES} tries, the last was {last}").into())
    }

    async fn try_once(&self, ask: &Ask<'_>) -> Result<Try> {
        let request = match self.door {
            Door::GraphQl => {
                let (query, variables) = ask.operation();
                let request = self.http.post(&self.graphql_url).header("authorization", self.token.as_str());
                request.json(&json!({ "query": query, "variables": variables }))
            }
            Door::Rest => {
                let (method, path, body) = ask.route();
                let request = self.http.request(method, format!("{}{path}", self.rest_url));
                let request = request.bearer_auth(&self.token);
                if body.is_null() { request } else { request.json(&body) }
            }
        };
        let Ok(response) = request.send().await else { return Ok(Try::Broken) };
        match self.door {
            Door::GraphQl => of_graphql(response).await,
            Door::Rest => of_rest(response).await,
        }
    }
}

impl Ask<'_> {
    fn gate(&self, door: Door) -> &'static str {
        let kind = match self {
            Self::Hold(_) => 0,
            Self::Release(_) => 1,
            Self::Confirm { .. } => 2,
            Self::Cancel(_) => 3,
        };
        GATES[kind + if door == Door::Rest { 4 } else { 0 }]
    }

    fn operation(&self) -> (&'static str, Value) {
        match self {
            Self::Hold(slot) => (
                "mutation($input: HoldSlotInput!) { holdSlot(input: $input) { token expiresIn } }",
                json!({ "input": slot.wish() }),
            ),
            Self::Release(token) => {
                ("mutation($token: String!) { releaseHold(token: $token) }", json!({ "token": token }))
            }
            Self::Confirm { token, card } => (
                "mutation($input: ConfirmBookingInput!) { confirmBooking(input: $input) { id status } }",
                json!({ "input": { "holdToken": token, "paymentId": card } }),
            ),
            Self::Cancel(id) => {
                ("mutation($id: ID!) { cancelBooking(id: $id) { id status } }", json!({ "id": id }))
            }
        }
    }

    fn route(&self) -> (Method, String, Value) {
        match self {
            Self::Hold(slot) => (Method::POST, "/v1/bookings/holds".to_owned(), slot.wish()),
            Self::Release(token) => (Method::DELETE, format!("/v1/bookings/holds/{token}"), Value::Null),
            Self::Confirm { token, card } => {
                let body = match card {
                    Some(card) => json!({ "holdToken": token, "paymentId": card }),
                    None => json!({ "holdToken": token }),
                };
                (Method::POST, "/v1/bookings/confirm".to_owned(), body)
            }
            Self::Cancel(id) => (Method::POST, format!("/v1/bookings/{id}/cancel"), json!({})),
        }
    }
}

async fn of_graphql(response: Response) -> Result<Try> {
    let status = response.status();
    let Ok(mut answer) = response.json::<Value>().await else { return Ok(Try::Broken) };
    let Some(error) = answer["errors"].get(0).cloned() else {
        let field = answer["data"].as_object_mut().and_then(|data| data.values_mut().next()).map(Value::take);
        let field = field.ok_or_else(|| format!("HTTP {status} without data: {answer}"))?;
        return Ok(Try::Answered(Ok(field)));
    };
    let seconds = error["errorInfo"]["retryAfter"].as_u64();
    match (error["errorType"].as_str().unwrap_or_default(), error["errorInfo"]["code"].as_str()) {
        ("Conflict", Some(code)) => Ok(Try::Answered(Err(code.to_owned()))),
        ("NotFound", _) => Ok(Try::Answered(Err("NOT_FOUND".to_owned()))),
        (kind @ ("Limited" | "Unavailable"), _) if seconds.is_some() => {
            Ok(Try::Later(kind.to_ascii_uppercase(), seconds))
        }
        // The stack has sixteen processes of a function and no more.
        ("Lambda:TooManyRequestsException", _) => Ok(Try::Later("BUSY".to_owned(), None)),
        _ => Err(format!("not a clear answer: HTTP {status} {error}").into()),
    }
}

async fn of_rest(response: Response) -> Result<Try> {
    let status = response.status().as_u16();
    let after = response.headers().get("retry-after").and_then(|seconds| seconds.to_str().ok()?.parse().ok());
    let Ok(mut answer) = response.json::<Value>().await else { return Ok(Try::Broken) };
    let code = answer["error"]["code"].as_str().unwrap_or_default().to_owned();
    match (status, after) {
        (200, _) if answer["success"] == true => Ok(Try::Answered(Ok(answer["data"].take()))),
        (404 | 409, _) if !code.is_empty() => Ok(Try::Answered(Err(code))),
        (429 | 503, Some(_)) if !code.is_empty() => Ok(Try::Later(code, after)),
        // The gateway's own word: too many at once.
        (429 | 503, None) if answer["message"].is_string() => Ok(Try::Later("BUSY".to_owned(), None)),
        _ => Err(format!("not a clear answer: HTTP {status}, Retry-After {after:?}, {answer}").into()),
    }
}
