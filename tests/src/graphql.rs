//! An app's side of GraphQL over HTTP.

use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Result;

/// A client of one endpoint with one way to authorize itself.
#[derive(Debug, Clone)]
pub struct Client {
    url: String,
    auth: Auth,
}

/// How a request shows who asks.
#[derive(Debug, Clone)]
pub enum Auth {
    /// `x-api-key`.
    ApiKey(String),
    /// `Authorization`: an access token.
    Token(String),
    /// Nothing at all.
    Nobody,
}

/// The first error of an answer, as AppSync tells it.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphQLError {
    /// For people.
    pub message: String,
    /// For programs.
    pub error_type: Option<String>,
    /// More for programs: the field, the code.
    #[serde(default)]
    pub error_info: Value,
    /// Where in the answer.
    #[serde(default)]
    pub path: Value,
}

impl GraphQLError {
    /// Whether a function had no room or died, so that the same request may be sent again.
    pub fn is_of_lambda(&self) -> bool {
        self.error_type.as_deref().is_some_and(|kind| kind.starts_with("Lambda:"))
    }
}

impl Client {
    /// A client of `url`.
    pub fn new(url: &str, auth: Auth) -> Self {
        Self { url: url.to_owned(), auth }
    }

    /// The whole answer, errors and all, with its HTTP status.
    pub async fn answer(&self, query: &str, variables: Value) -> Result<(u16, Value)> {
        static HTTP: OnceLock<reqwest::Client> = OnceLock::new();
        let request = HTTP.get_or_init(reqwest::Client::new).post(&self.url);
        let request = match &self.auth {
            Auth::ApiKey(key) => request.header("x-api-key", key),
            Auth::Token(token) => request.header("authorization", token),
            Auth::Nobody => request,
        };
        let response = request.json(&json!({ "query": query, "variables": variables })).send().await?;
        let status = response.status().as_u16();
        Ok((status, response.json().await?))
    }

    /// The value of the operation's only field, read as `T`.
    pub async fn field<T: DeserializeOwned>(&self, query: &str, variables: Value) -> Result<T> {
        let (status, mut answer) = self.answer(query, variables).await?;
        if answer.get("errors").is_some() {
            return Err(format!("HTTP {status}: {}", answer["errors"]).into());
        }
        let field = answer["data"].as_object_mut().and_then(|data| data.values_mut().next()).map(Value::take);
        let field = field.ok_or_else(|| format!("HTTP {status}: no data: {answer}"))?;
        Ok(serde_json::from_value(field)?)
    }

    /// The first error of an operation that must fail.
    pub async fn error(&self, query: &str, variables: Value) -> Result<GraphQLError> {
        let (_, answer) = self.answer(query, variables).await?;
        let first = answer["errors"].get(0).ok_or_else(|| format!("no error: {answer}"))?;
        Ok(serde_json::from_value(first.clone())?)
    }
}
