//! A request as an HTTP API hands it to a function, and its fields as one object: path, query and body are only three
//! places to say them.

use std::collections::HashMap;
use std::fmt;

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::aws_lambda_events::query_map::QueryMap;
use lambda_http::http::header::{AUTHORIZATION, CONTENT_TYPE};
use lambda_http::http::{HeaderMap, Method};
use lambda_http::{Body, http};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};
use shared::{Caller, CorrelationId, Failure, Timestamp, User, read_fields, refuse_card_numbers};

use crate::answer::CORRELATION_ID;
use crate::refusal::Refusal;

/// No body of `/v1` comes near it.
pub const MAX_BODY_BYTES: usize = 64 << 10;
/// As sent, escapes included; the longest that makes sense has two titles in another script.
const MAX_QUERY_BYTES: usize = 4096;

/// A request, as far as handlers look at it. Read from the event itself: lambda_http's own type panics on query strings
/// that are no URI, which anybody can send.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "ApiGatewayV2httpRequest")]
pub struct Request {
    method: Method,
    /// `POST /v1/bookings/holds`, as the gateway has it.
    pub(crate) route: String,
    path: HashMap<String, String>,
    query: String,
    headers: HeaderMap,
    body: Body,
    /// As the gateway has it.
    pub(crate) source_ip: Option<String>,
}

impl From<ApiGatewayV2httpRequest> for Request {
    fn from(event: ApiGatewayV2httpRequest) -> Self {
        let context = event.request_context;
        Self {
            method: context.http.method,
            route: context.route_key.unwrap_or_default(),
            path: event.path_parameters,
            query: event.raw_query_string.unwrap_or_default(),
            headers: event.headers,
            body: event
                .body
                .map_or(Body::Empty, |body| Body::from_maybe_encoded(event.is_base64_encoded, &body)),
            source_ip: context.http.source_ip,
        }
    }
}

impl Request {
    /// A header, if it is there and readable; the name in any case.
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Byte for byte as it was sent.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// All fields as an `A`: the path's, the query's (both texts) and those of the body's object. A field must not be
    /// given twice or be unknown to `A`, and none may hold a card's number.
    pub fn fields<A: DeserializeOwned>(&self) -> Result<A, Refusal> {
        let mut fields = Fields(Map::new());
        for (name, value) in &self.path {
            fields.add(name, value.as_str().into())?;
        }
        if self.query.len() > MAX_QUERY_BYTES {
            return Err(
                Failure::invalid("query", format!("must have at most {MAX_QUERY_BYTES} bytes")).into()
            );
        }
        let Ok(query) = self.query.parse::<QueryMap>();
        for (name, value) in query.iter() {
            fields.add(name, value.into())?;
        }
        for (name, value) in self.body_fields()?.0 {
            fields.add(&name, value)?;
        }
        let fields = Value::Object(fields.0);
        if let Some(field) =
            fields.as_object().and_then(|fields| fields.iter().find(|(_, value)| holds_nul(value)))
        {
            return Err(Failure::invalid(field.0.clone(), "must not hold U+0000").into());
        }
        refuse_card_numbers(&fields)?;
        let read = read_fields(fields.clone()).map_err(name_the_field)?;
        match unknown::<A>(&fields) {
            None => Ok(read),
            Some(name) => Err(Failure::invalid(name, "is not known here").into()),
        }
    }

    fn body_fields(&self) -> Result<Fields, Refusal> {
        if self.body.is_empty() || !self.takes_a_body() {
            return Ok(Fields(Map::new()));
        }
        let kind = self.header(CONTENT_TYPE).and_then(|kind| kind.split(';').next()).unwrap_or_default();
        if !kind.trim().eq_ignore_ascii_case("application/json") {
            return Err(Refusal::NotJsonType);
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let message = if error.is_data() { error.to_string() } else { format!("is not JSON: {error}") };
            Failure::invalid("body", message).into()
        })
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.takes_a_body() && self.body.len() > MAX_BODY_BYTES
    }

    /// What a body would mean with other methods, HTTP leaves undefined.
    fn takes_a_body(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::DELETE)
    }

    /// What stands behind `Bearer `, without any blank: the wall counts one token's requests by how it is written.
    pub(crate) fn token(&self) -> Option<&str> {
        let (scheme, token) = self.header(AUTHORIZATION)?.split_once(' ')?;
        let is_one = scheme.eq_ignore_ascii_case("bearer") && !token.contains(char::is_whitespace);
        is_one.then_some(token)
    }

    pub(crate) fn correlation_id(&self) -> CorrelationId {
        let sent = self.header(CORRELATION_ID).and_then(|id| id.parse().ok());
        sent.unwrap_or_else(CorrelationId::new)
    }

    pub(crate) fn caller(&self, user: Option<User>, correlation_id: CorrelationId, at: Timestamp) -> Caller {
        Caller { user, correlation_id, source_ip: self.source_ip.clone(), at }
    }
}

/// An object whose keys are there once.
struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, name: &str, value: Value) -> Result<(), Failure> {
        match self.0.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(Failure::invalid(name.to_owned(), "is given twice")),
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut fields = Fields(Map::new());
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    fields.add(&name, value).map_err(M::Error::custom)?;
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// PostgreSQL has no text that holds it.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(list) => list.iter().any(holds_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The first field that an `A` does not look at: a misspelt filter must not pass for none.
fn unknown<A: DeserializeOwned>(fields: &Value) -> Option<String> {
    let mut first = None;
    let _: Result<A, _> = serde_ignored::deserialize(fields, |path| {
        first.get_or_insert(path.to_string());
    });
    first
}

/// A field that is missing has no path of its own: serde names it in the message alone.
fn name_the_field(failure: Failure) -> Failure {
    let Failure::Invalid { field, message } = failure else { return failure };
    let named = |prefix: &str| Some(message.strip_prefix(prefix)?.split_once('`')?.0.to_owned());
    let path = |name: String| if field == "." { name } else { format!("{field}.{name}") };
    if let Some(name) = named("missing field `") {
        Failure::invalid(path(name), "is missing")
    } else if let Some(name) = named("duplicate field `") {
        Failure::invalid(path(name), "is given twice")
    } else {
        Failure::Invalid { field, message }
    }
}

#[cfg(test)]
mod tests;
