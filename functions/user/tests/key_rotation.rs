//! A rotation on a real Secrets Manager's stand-in: whoever runs it how often and at once, no token is refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod forged;
mod support;

use std::path::Path;
use std::process::Command;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use chrono::{TimeDelta, Utc};
use forged::Issuer;
use futures::future::join_all;
use scratch::{Server, free_port, until};
use serde_json::{Value, json};
use shared::Timestamp;
use support::arguments;
use user::{AccessTokenVerifier, KeySecrets, Parties, VerifyingKeys, jwks, rotate_keys};

struct Vault {
    config: SdkConfig,
    secrets: Client,
    _server: Server,
}

impl Vault {
    /// With a pair of keys as the foundation makes them.
    async fn new() -> Self {
        let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.local/venv/bin/ministack");
        let program = if venv.exists() { venv.as_path() } else { Path::new("ministack") };
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(program);
        command
            .current_dir(std::env::temp_dir())
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string());
        command.env("AWS_ENDPOINT_URL", &url).env("IOT_MTLS_ENABLED", "0").env("PERSIST_STATE", "0");
        let server = Server::start(&mut command);
        let config = scratch::aws_at(&url);
        let secrets = Client::new(&config);
        until("ministack", async || secrets.list_secrets().send().await.ok()).await;
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let signing = json!({ "kid": "first", "privateKey": pair.serialize_pem() });
        let verifying = json!({ "keys": [{ "kid": "first", "publicKey": pair.public_key_pem() }] });
        for (name, value) in [("signing", signing), ("verifying", verifying)] {
            secrets.create_secret().name(name).secret_string(value.to_string()).send().await.unwrap();
        }
        Self { config, secrets, _server: server }
    }

    async fn held(&self, name: &str) -> Value {
        let answer = self.secrets.get_secret_value().secret_id(name).send().await.unwrap();
        serde_json::from_str(answer.secret_string().unwrap()).unwrap()
    }

    /// A token of whoever signs now.
    async fn token(&self, at: Timestamp) -> String {
        let signing = self.held("signing").await;
        let text = |field: &str| signing[field].as_str().unwrap().to_owned();
        let issuer = Issuer {
            kid: text("kid"),
            private_pem: text("privateKey"),
            public_pem: String::new(),
            stranger_pem: String::new(),
            issuer: "ev".into(),
            audience: "ev-app".into(),
            subject: "018f0000-0000-7000-8000-000000000001".into(),
            now: at.timestamp(),
        };
        issuer.good()
    }

    /// The published keys' names.
    async fn published(&self, at: Timestamp) -> Vec<String> {
        let set = jwks(&VerifyingKeys::new(&self.config, "verifying"), at).await.unwrap();
        let keys = serde_json::to_value(set).unwrap()["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    fn verifier(&self) -> AccessTokenVerifier {
        let parties = Parties { issuer: "ev".into(), audience: "ev-app".into() };
        AccessTokenVerifier::new(VerifyingKeys::new(&self.config, "verifying"), parties)
    }

    /// The steps that eight runs at once took, each told by the run that took it; in no order.
    async fn run(&self, at: Timestamp, input: Value) -> Vec<String> {
        let runs = (0..8).map(|_| {
            let input = input.clone();
            async move {
                let secrets = KeySecrets::new(&self.config, "signing", "verifying");
                rotate_keys(&secrets, arguments(input), at).await.unwrap()
            }
        });
        let reports = join_all(runs).await;
        let steps = reports.iter().flat_map(|report| {
            let report = serde_json::to_value(report).unwrap();
            report["steps"].as_array().unwrap().clone()
        });
        let mut steps: Vec<_> = steps.map(|step| step.as_str().unwrap().to_owned()).collect();
        steps.sort();
        steps
    }
}

#[tokio::test]
async fn eight_runs_at_once_take_each_step_once_and_no_token_is_refused() {
    let vault = Vault::new().await;
    let made = Utc::now();
    assert_eq!(vault.run(made + TimeDelta::days(29), json!({})).await, [""; 0]);

    let start = made + TimeDelta::days(31);
    let minute = |minutes| start + TimeDelta::minutes(minutes);
    // One that keeps its keys as functions do; a token is shown until it expires.
    let verifier = vault.verifier();
    let mut shown: Vec<(Timestamp, String)> = Vec::new();
    let runs = [
        (0, vec!["PUBLISH", "STAGE"], 2),
        (10, vec![], 2),
        (20, vec!["SWITCH"], 2),
        (79, vec![], 2),
        (80, vec!["RETIRE"], 1),
    ];
    for (at, steps, published) in runs {
        shown.push((minute(at), vault.token(minute(at)).await));
        assert_eq!(vault.run(minute(at), json!({})).await, steps, "minute {at}");
        assert_eq!(vault.published(minute(at)).await.len(), published, "minute {at}");
        shown.push((minute(at), vault.token(minute(at)).await));
        for (signed_at, token) in
            shown.iter().filter(|(signed_at, _)| minute(at) - *signed_at < TimeDelta::minutes(14))
        {
            let verified = verifier.verify(token, minute(at)).await.unwrap();
            assert!(verified.is_ok(), "minute {at}: {verified:?} of {signed_at}");
            assert!(vault.verifier().verify(token, minute(at)).await.unwrap().is_ok());
        }
    }
    let old = &shown[0].1;
    assert_eq!(vault.verifier().verify(old, minute(80)).await.unwrap().ok(), None);
    assert_eq!(vault.published(minute(80)).await, [vault.held("signing").await["kid"].as_str().unwrap()]);
    // Nothing is left of the rotation, and the old private key is gone.
    assert_eq!(vault.held("signing").await.get("next"), None);
    assert_eq!(vault.run(minute(80), json!({})).await, [""; 0]);

    // Asked to, it begins again, once.
    assert_eq!(vault.run(minute(90), json!({ "start": true })).await, ["PUBLISH", "STAGE"]);
    assert_eq!(vault.run(minute(91), json!({ "start": true })).await, [""; 0]);
}

#[tokio::test]
async fn without_keys_it_says_so_and_writes_nothing() {
    let vault = Vault::new().await;
    vault.secrets.put_secret_value().secret_id("signing").secret_string("{}").send().await.unwrap();
    let secrets = KeySecrets::new(&vault.config, "signing", "verifying");
    let failure = rotate_keys(&secrets, arguments(json!({ "start": true })), Utc::now()).await.unwrap_err();
    assert_eq!(failure.error_type(), "Fault");
    assert_eq!(vault.held("signing").await, json!({}));
    assert!(serde_json::from_value::<user::RotateKeys>(json!({ "hurry": true })).is_err());
}
