//! Who is calling, and by which of the API's modes. A caller that no mode knows gets one answer, whatever the
//! reason: which part of a credential was wrong is nobody's business.

mod lambda;
mod sigv4;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;

use crate::definition::ApiDefinition;
use crate::error::Refusal;
use lambda::LambdaAuthorizer;
pub(crate) use sigv4::SignedTarget;

/// Header names in lower case, as `ctx.request.headers` has them.
pub type Headers = BTreeMap<String, String>;

/// A way of authorizing that this door knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// `AWS_LAMBDA`: a function decides on the `Authorization` header.
    Lambda,
    /// `AWS_IAM`: Signature Version 4.
    Iam,
    /// `API_KEY`: the `x-api-key` header.
    ApiKey,
}

impl AuthMode {
    pub(crate) fn named(authentication_type: &str) -> Option<Self> {
        match authentication_type {
            "AWS_LAMBDA" => Some(Self::Lambda),
            "AWS_IAM" => Some(Self::Iam),
            "API_KEY" => Some(Self::ApiKey),
            _ => None,
        }
    }
}

/// The modes that may read a field. It can name modes this door does not know; then nobody here may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ModeSet(u8);

impl ModeSet {
    const UNSUPPORTED: Self = Self(0);

    pub(crate) fn only(mode: AuthMode) -> Self {
        Self(1 << mode as u8)
    }

    /// `@aws_auth` is left out: it narrows Cognito groups and means nothing to another mode.
    pub(crate) fn of_directive(name: &str) -> Option<Self> {
        match name {
            "aws_lambda" => Some(Self::only(AuthMode::Lambda)),
            "aws_iam" => Some(Self::only(AuthMode::Iam)),
            "aws_api_key" => Some(Self::only(AuthMode::ApiKey)),
            "aws_oidc" | "aws_cognito_user_pools" => Some(Self::UNSUPPORTED),
            _ => None,
        }
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn contains(self, mode: AuthMode) -> bool {
        self.0 & Self::only(mode).0 != 0
    }
}

/// An authorized caller.
#[derive(Debug, Clone)]
pub struct Caller {
    pub(crate) mode: AuthMode,
    /// `ctx.identity`.
    pub(crate) identity: Arc<RawValue>,
    /// `(type, field)` pairs the authorizer closed for this caller.
    denied: Arc<HashSet<(String, String)>>,
}

impl Caller {
    /// A principal of this account: how EventBridge calls a mutation. `user_arn` is what resolvers see as
    /// `ctx.identity.userArn`.
    pub fn iam(account_id: &str, user_arn: &str, source_ip: &str) -> Self {
        Self::new(AuthMode::Iam, &iam_identity(account_id, user_arn, source_ip), HashSet::new())
    }

    fn api_key() -> Self {
        Self::new(AuthMode::ApiKey, &Value::Null, HashSet::new())
    }

    fn new(mode: AuthMode, identity: &Value, denied: HashSet<(String, String)>) -> Self {
        let identity = to_raw_value(identity).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self { mode, identity: identity.into(), denied: Arc::new(denied) }
    }

    pub(crate) fn may_read(&self, modes: ModeSet, parent: &str, field: &str) -> bool {
        modes.contains(self.mode)
            && (self.denied.is_empty() || !self.denied.contains(&(parent.to_owned(), field.to_owned())))
    }
}

fn iam_identity(account_id: &str, user_arn: &str, source_ip: &str) -> Value {
    json!({
        "accountId": account_id,
        "cognitoIdentityPoolId": null,
        "cognitoIdentityId": null,
        "cognitoIdentityAuthType": null,
        "cognitoIdentityAuthProvider": null,
        "sourceIp": [source_ip],
        "userArn": user_arn,
        "username": user_arn.rsplit('/').next(),
    })
}

/// One request for authorization.
pub(crate) struct Attempt<'a> {
    pub(crate) headers: &'a Headers,
    /// What an IAM signature has to cover.
    pub(crate) signed: SignedTarget<'a>,
    pub(crate) query: &'a str,
    pub(crate) operation_name: Option<&'a str>,
    pub(crate) variables: &'a Map<String, Value>,
    pub(crate) source_ip: &'a str,
}

/// Decides on [`Attempt`]s by the API's modes.
pub(crate) struct Authenticator {
    definition: Arc<ApiDefinition>,
    lambda: Option<LambdaAuthorizer>,
}

impl Authenticator {
    pub(crate) fn new(definition: Arc<ApiDefinition>, invoke: Arc<dyn lambda_host::Invoke>) -> Self {
        let lambda = definition.authorizer.clone().map(|authorizer| {
            LambdaAuthorizer::new(authorizer, &definition.api_id, &definition.account_id, invoke)
        });
        Self { definition, lambda }
    }

    /// The mode is told by the credential, as AppSync does: a key, a signature, or any other token.
    pub(crate) async fn authenticate(&self, attempt: &Attempt<'_>) -> Result<Caller, Refusal> {
        if let Some(key) = attempt.headers.get("x-api-key") {
            return self.check_key(key);
        }
        let Some(authorization) = attempt.headers.get("authorization") else {
            return Err(Refusal::unauthorized());
        };
        if authorization.starts_with(sigv4::ALGORITHM) {
            return self.check_signature(attempt);
        }
        match &self.lambda {
            Some(lambda) => lambda.decide(authorization, attempt).await,
            None => Err(Refusal::unauthorized()),
        }
    }

    fn allows(&self, mode: AuthMode) -> bool {
        self.definition.default_mode == mode || self.definition.additional_modes.contains(&mode)
    }

    fn check_key(&self, given: &str) -> Result<Caller, Refusal> {
        let now = chrono::Utc::now().timestamp();
        let known = self
            .definition
            .api_keys
            .iter()
            .any(|key| bool::from(key.key.as_bytes().ct_eq(given.as_bytes())) && now < key.expires);
        if known && self.allows(AuthMode::ApiKey) {
            Ok(Caller::api_key())
        } else {
            Err(Refusal::unauthorized())
        }
    }

    fn check_signature(&self, attempt: &Attempt<'_>) -> Result<Caller, Refusal> {
        if !self.allows(AuthMode::Iam) {
            return Err(Refusal::unauthorized());
        }
        let now = chrono::Utc::now();
        sigv4::verify(attempt.headers, &attempt.signed, now).map_err(|fault| {
            tracing::debug!(%fault, "signature refused");
            Refusal::unauthorized()
        })?;
        let user = format!("arn:aws:iam::{}:user/{}", self.definition.account_id, sigv4::ACCESS_KEY);
        Ok(Caller::iam(&self.definition.account_id, &user, attempt.source_ip))
    }
}
