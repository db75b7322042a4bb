//! The local AppSync: GraphQL over HTTP and AppSync's WebSocket protocol, as `template.yaml` and the schema describe
//! them. Knows functions only as [`lambda_host::Invoke`] and the template only through [`local_template::Stack`].
//!
//! ```no_run
//! # async fn example(stack: local_template::Stack, functions: std::sync::Arc<dyn lambda_host::Invoke>)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use appsync::{Api, ApiDefinition, Caller, Options, Request};
//!
//! for definition in ApiDefinition::from_stack(&stack, std::path::Path::new("."))? {
//!     let api = Api::new(definition, functions.clone(), Options::default());
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//!     let stop = tokio_util::sync::CancellationToken::new();
//!     tokio::spawn(api.clone().serve(listener, stop.clone()));
//!     // What an EventBridge rule whose target is the API does:
//!     let caller = Caller::iam("000000000000", "arn:aws:iam::000000000000:role/bus", "127.0.0.1");
//!     let response = api.execute(&Request::new("mutation { … }", Default::default()), &caller).await;
//!     assert!(response.errors().is_empty());
//! }
//! # Ok(()) }
//! ```

mod api;
mod auth;
mod bounds;
mod coercion;
mod definition;
mod error;
mod execute;
mod http;
mod javascript;
mod operations;
mod realtime;
mod scalars;
mod schema;
mod serve;
mod tls;
mod validation;

pub use api::{Api, Options, Request, Response};
pub use auth::{AuthMode, Caller, Headers};
pub use definition::ApiDefinition;
pub use error::{Failure, FieldError, GraphqlError, Location, PathSegment};
pub use tls::{Certificate, CertificateError};
