//! What the CDK foundation gives the template on AWS, as it is on this machine: the template's parameters,
//! and the secrets behind them. The names are those of the foundation's outputs.

use std::collections::BTreeMap;

use serde_json::json;

use crate::keys::SigningKey;

/// What the table depends on.
pub(crate) struct Foundation {
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) redis_url: String,
    pub(crate) mongo_uri: String,
    pub(crate) ocm_url: String,
    pub(crate) ocm_key: String,
    pub(crate) signing_key: SigningKey,
    pub(crate) invoice_link_key: String,
    pub(crate) stripe_url: String,
}

/// A secret to put into Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

/// The database that migrations and functions use.
pub(crate) const DATABASE: &str = "ev";
/// Who they are in it.
pub(crate) const DATABASE_USER: &str = "ev";

/// Signs what the payment provider's stand-in reports.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_of_this_machine_only";

/// Who sends it as `x-ev-edge-key` is believed what `x-viewer-address` says, as the edge is.
const EDGE_KEY: &str = "edge_of_this_machine_only";

/// Where the usual development servers of web apps serve pages.
const DEVELOPMENT_PORTS: [u16; 6] = [3000, 4200, 5173, 8000, 8080, 8081];

const DATABASE_SECRET: &str = "ev/database";
const MONGO_SECRET: &str = "ev/mongo";
const OCM_SECRET: &str = "ev/openchargemap";
const PAYMENT_SECRET: &str = "ev/payments";
const INVOICE_LINK_SECRET: &str = "ev/invoice-links";
const SIGNING_SECRET: &str = "ev/token-signing";
const VERIFYING_SECRET: &str = "ev/token-verifying";

impl Foundation {
    /// Template parameter to value.
    pub(crate) fn parameters(&self) -> BTreeMap<String, String> {
        let a_year_ahead = chrono::Utc::now() + chrono::Duration::days(364);
        let many = || "1000000".to_owned();
        let table = [
            ("AllowedOrigins", developers_origins()),
            ("ApiKeyExpires", a_year_ahead.timestamp().to_string()),
            // Behind one machine's doors its own limits are to be met, not a deployment's.
            ("BookingRequestsPerSecond", many()),
            ("ClusterArn", self.cluster_arn()),
            ("DatabaseName", DATABASE.to_owned()),
            ("DatabaseSecretArn", self.database_secret_arn()),
            ("DocumentRequestsPerSecond", many()),
            ("EdgeKey", EDGE_KEY.to_owned()),
            ("FunctionSecurityGroupId", "sg-00000000000000001".to_owned()),
            // Off where drivers are; on where the people are who build the app.
            ("Introspection", "ENABLED".to_owned()),
            ("KeyArn", format!("arn:aws:kms:{}:{}:key/local", self.region, self.account)),
            ("InvoiceLinkSecretArn", self.secret_arn(INVOICE_LINK_SECRET)),
            ("JwtSigningSecretArn", self.secret_arn(SIGNING_SECRET)),
            ("JwtVerifyingSecretArn", self.secret_arn(VERIFYING_SECRET)),
            ("MongoSecretArn", self.secret_arn(MONGO_SECRET)),
            ("OcmSecretArn", self.secret_arn(OCM_SECRET)),
            ("PaymentSecretArn", self.secret_arn(PAYMENT_SECRET)),
            ("PrivateSubnetIds", "subnet-00000000000000001,subnet-00000000000000002".to_owned()),
            // Everybody here has one address.
            ("RegistrationsPerHour", many()),
            ("RedisUrl", self.redis_url.clone()),
            ("RestRequestsPerSecond", many()),
            ("WebhookRequestsPerSecond", many()),
        ];
        table.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The secrets whose ARNs the parameters hold.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let SigningKey { kid, private_pem, public_pem } = &self.signing_key;
        let payments =
            json!({"apiKey": "sk_test_local", "webhookSecrets": [WEBHOOK_SECRET], "url": self.stripe_url});
        let table = [
            (DATABASE_SECRET, json!({"username": DATABASE_USER, "password": ""})),
            (MONGO_SECRET, json!({"uri": self.mongo_uri, "database": DATABASE})),
            (OCM_SECRET, json!({"key": self.ocm_key, "url": self.ocm_url})),
            (PAYMENT_SECRET, payments),
            (INVOICE_LINK_SECRET, json!({"key": self.invoice_link_key})),
            (SIGNING_SECRET, json!({"kid": kid, "privateKey": private_pem})),
            (VERIFYING_SECRET, json!({"keys": [{"kid": kid, "publicKey": public_pem}]})),
        ];
        table.into_iter().map(|(name, value)| Secret { name, value: value.to_string() }).collect()
    }

    /// What the Data API calls the database cluster.
    pub(crate) fn cluster_arn(&self) -> String {
        format!("arn:aws:rds:{}:{}:cluster:{DATABASE}", self.region, self.account)
    }

    /// What the Data API takes as the cluster's credentials.
    pub(crate) fn database_secret_arn(&self) -> String {
        self.secret_arn(DATABASE_SECRET)
    }

    /// A partial ARN, without the six characters that Secrets Manager adds: it accepts those too, and which
    /// characters the emulator adds is not known before it runs.
    fn secret_arn(&self, name: &str) -> String {
        format!("arn:aws:secretsmanager:{}:{}:secret:{name}", self.region, self.account)
    }
}

/// Each port by both names that a browser may know this machine by.
fn developers_origins() -> String {
    let both = |port| [format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}")];
    DEVELOPMENT_PORTS.map(both).concat().join(",")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn every_secret_parameter_finds_exactly_one_secret() {
        let signing_key =
            SigningKey { kid: "k".into(), private_pem: "private".into(), public_pem: "public".into() };
        let foundation = Foundation {
            region: "eu-central-1".into(),
            account: "000000000000".into(),
            redis_url: "redis://127.0.0.1:1".into(),
            mongo_uri: "mongodb://127.0.0.1:2".into(),
            ocm_url: "http://127.0.0.1:3".into(),
            ocm_key: "key".into(),
            signing_key,
            invoice_link_key: "key".into(),
            stripe_url: "http://127.0.0.1:4".into(),
        };
        let secrets = foundation.secrets();
        for (name, arn) in foundation.parameters().iter().filter(|(name, _)| name.ends_with("SecretArn")) {
            let secret = arn.split(":secret:").nth(1).unwrap();
            // The emulator finds a partial ARN by its beginning.
            let found = secrets.iter().filter(|other| other.name.starts_with(secret)).count();
            assert_eq!(found, 1, "{name}");
        }
    }
}
