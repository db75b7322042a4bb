//! API Gateway's two kinds of API that the template uses, in front of functions: WebSocket APIs
//! ([`websocket`]) and HTTP APIs ([`http`]). How a function is run is `lambda_host`'s to know.

pub mod http;
pub mod websocket;

mod identity;
mod integration;
mod query;
mod throttle;
