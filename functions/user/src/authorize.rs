//! The GraphQL API's Lambda authorizer: what AppSync asks, and what it is told about an access token.

use serde::Serialize;
use serde_json::Value;
use shared::{Failure, Role, Timestamp, UserId};
use tracing::info;

use crate::access_token::{AccessTokenVerifier, Verified};

/// A decision is kept no longer than this, so that a new role or a withdrawn key takes effect soon.
const MAX_TTL_SECONDS: i64 = 60;
/// Fields that only operators may ask for. Their resolvers check it again.
const OPERATOR_FIELDS: [&str; 21] = [
    "Mutation.createPlan",
    "Mutation.createTariff",
    "Mutation.creditWallet",
    "Mutation.debitWallet",
    "Mutation.endTariff",
    "Mutation.refundInvoice",
    "Mutation.registerCharger",
    "Mutation.registerVendor",
    "Mutation.registerVendorConnectors",
    "Mutation.replayDeadLetters",
    "Mutation.retirePlan",
    "Mutation.rotateVendorKey",
    "Mutation.setStationHours",
    "Mutation.settleRefund",
    "Mutation.updateSession",
    "Query.auditLog",
    "Query.deadLetters",
    "Query.eventTrail",
    "Query.listTariffs",
    "Query.user",
    "Query.vendors",
];

/// The answer to AppSync. It depends on the token alone: AppSync keeps it by token, whatever the query.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    is_authorized: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolver_context: Option<ResolverContext>,
    denied_fields: Vec<&'static str>,
    /// Seconds; zero is not kept.
    ttl_override: i64,
}

/// What resolvers find in `identity.resolverContext`. AppSync takes text values only.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResolverContext {
    user_id: UserId,
    /// `DRIVER,OPERATOR`.
    roles: String,
}

impl Decision {
    fn refused() -> Self {
        Self { is_authorized: false, resolver_context: None, denied_fields: Vec::new(), ttl_override: 0 }
    }

    fn granted(verified: &Verified) -> Self {
        let names: Vec<_> = verified.roles.iter().map(|role| role.name()).collect();
        let is_operator = verified.roles.contains(&Role::Operator);
        Self {
            is_authorized: true,
            resolver_context: Some(ResolverContext { user_id: verified.user, roles: names.join(",") }),
            denied_fields: if is_operator { Vec::new() } else { OPERATOR_FIELDS.to_vec() },
            ttl_override: verified.seconds_left.min(MAX_TTL_SECONDS),
        }
    }
}

/// Decides on AppSync's question. Fails only when there are no keys to decide by.
pub async fn authorize(
    verifier: &AccessTokenVerifier,
    question: &Value,
    now: Timestamp,
) -> Result<Decision, Failure> {
    let Some(token) = token(question) else { return Ok(Decision::refused()) };
    match verifier.verify(token, now).await? {
        Ok(verified) => Ok(Decision::granted(&verified)),
        Err(rejected) => {
            info!(reason = %rejected, "token rejected");
            Ok(Decision::refused())
        }
    }
}

/// The token, bare as AppSync's own clients send it or behind `Bearer `.
fn token(question: &Value) -> Option<&str> {
    let text = question.get("authorizationToken")?.as_str()?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token),
        _ => Some(text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    fn verified(roles: &[Role], seconds_left: i64) -> Verified {
        Verified { user: UserId::new(), roles: roles.to_vec(), seconds_left }
    }

    #[test]
    fn a_driver_is_denied_what_only_operators_may() {
        let driver = verified(&[Role::Driver], 900);
        let decision = serde_json::to_value(Decision::granted(&driver)).unwrap();
        assert_eq!(
            decision,
            json!({
                "isAuthorized": true,
                "resolverContext": { "userId": driver.user, "roles": "DRIVER" },
                "deniedFields": OPERATOR_FIELDS,
                "ttlOverride": 60,
            })
        );
        let operator = Decision::granted(&verified(&[Role::Driver, Role::Operator], 900));
        assert_eq!(operator.denied_fields, Vec::<&str>::new());
        assert_eq!(operator.resolver_context.unwrap().roles, "DRIVER,OPERATOR");
    }

    #[test]
    fn every_field_that_the_schema_keeps_for_operators_is_denied_to_drivers() {
        let schema = include_str!("../../../graphql/schema.graphql");
        let (mut kind, mut is_for_operators, mut fields) = ("", false, Vec::new());
        for line in schema.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("type ") {
                kind = name.split(' ').next().unwrap();
            } else if line.contains("Operators only") {
                is_for_operators = true;
            } else if is_for_operators && line.starts_with(char::is_alphabetic) {
                let name: String = line.chars().take_while(|c| c.is_alphanumeric()).collect();
                fields.push(format!("{kind}.{name}"));
                is_for_operators = false;
            }
        }
        fields.sort();
        assert_eq!(fields, OPERATOR_FIELDS);
    }

    #[test]
    fn a_decision_never_outlives_its_token() {
        assert_eq!(Decision::granted(&verified(&[Role::Driver], 7)).ttl_override, 7);
        assert_eq!(Decision::granted(&verified(&[Role::Driver], 0)).ttl_override, 0);
    }

    #[test]
    fn a_refusal_is_a_plain_no() {
        let refusal = serde_json::to_value(Decision::refused()).unwrap();
        assert_eq!(refusal, json!({ "isAuthorized": false, "deniedFields": [], "ttlOverride": 0 }));
    }

    #[test]
    fn the_token_may_come_with_its_scheme() {
        for sent in ["a.b.c", "Bearer a.b.c", "bearer a.b.c"] {
            assert_eq!(token(&json!({ "authorizationToken": sent })), Some("a.b.c"));
        }
        assert_eq!(token(&json!({ "authorizationToken": null })), None);
        assert_eq!(token(&json!({})), None);
        assert_eq!(token(&json!([])), None);
    }
}
