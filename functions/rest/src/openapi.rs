//! `GET /v1/openapi.json`: the contract, kept by hand and held to the code by tests.

use lambda_http::http::HeaderValue;
use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use shared::start_tracing;

use crate::answer::Response;
use crate::door::serve;

/// The OpenAPI 3.1 document.
pub const OPENAPI: &str = include_str!("../openapi/v1.json");

/// Runs as the function that gives the document to anybody, and to any cache.
pub async fn openapi() -> Result<(), lambda_runtime::Error> {
    start_tracing();
    serve(async |_| document()).await
}

fn document() -> Response {
    let mut response = Response::new(OPENAPI.to_owned());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Request;

    #[test]
    fn anybody_gets_the_document_and_may_keep_it() {
        let sample = include_str!("../../../events/openapi.json");
        assert_eq!(serde_json::from_str::<Request>(sample).unwrap().token(), None);
        let response = document();
        assert_eq!((response.status().as_u16(), response.body().as_str()), (200, OPENAPI));
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["cache-control"], "public, max-age=3600");
    }
}
