//! `GET /v1/openapi.json`. Reads nothing: the document is part of the function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    rest::openapi().await
}
