//! The door of `/v1`: its envelope, who may enter, and the OpenAPI document that is its contract. A route is a function
//! of its own that hands its handler to [`route`]; a webhook, which no access token opens, to [`open`].

mod answer;
mod door;
mod edge;
mod openapi;
mod page;
mod refusal;
mod request;
mod values;

pub use answer::{Reply, Response, answer};
pub use door::{Door, open, open_answer, route, route_reply};
pub use openapi::{OPENAPI, openapi};
pub use page::{Limit, Offset};
pub use refusal::Refusal;
pub use request::{MAX_BODY_BYTES, Request};
pub use values::{Number, parsed};

pub use lambda_http::http::header::AGE;
