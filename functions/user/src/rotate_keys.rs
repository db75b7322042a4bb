//! Rotating the key of access tokens: each run takes the steps that are due. Harmless to repeat, also at the same time.

use aws_config::SdkConfig;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::{Failure, MissingSetting, Timestamp, setting};
use tracing::{info, warn};

use crate::rotation::{Change, Signing, Step, Verifying, due, take};
use crate::secret::{Secret, Version};

/// The input; a schedule's is empty.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateKeys {
    /// Replaces the key although it is young. A rotation under way goes on, no faster.
    #[serde(default)]
    start: bool,
}

/// What a run did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotated {
    /// In their order; mostly none.
    steps: Vec<Step>,
    /// Which key signs, as last read.
    signing_kid: String,
    /// Which keys verify, as last read.
    verifying_kids: Vec<String>,
}

/// The two secrets, to be written.
pub struct KeySecrets {
    signing: Secret,
    verifying: Secret,
}

impl KeySecrets {
    /// From `JWT_SIGNING_SECRET_ARN` and `JWT_VERIFYING_SECRET_ARN`; reads nothing yet.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        let (signing, verifying) = (setting("JWT_SIGNING_SECRET_ARN")?, setting("JWT_VERIFYING_SECRET_ARN")?);
        Ok(Self::new(config, &signing, &verifying))
    }

    /// By their ARNs; reads nothing yet.
    pub fn new(config: &SdkConfig, signing_arn: &str, verifying_arn: &str) -> Self {
        Self { signing: Secret::new(config, signing_arn), verifying: Secret::new(config, verifying_arn) }
    }
}

/// Takes every step that is due. Of two runs at once one takes a step and the other leaves off.
pub async fn rotate_keys(
    secrets: &KeySecrets,
    RotateKeys { start }: RotateKeys,
    now: Timestamp,
) -> Result<Rotated, Failure> {
    let mut steps = Vec::new();
    loop {
        // In this order: a key is staged before it is published, so one that is published and unknown to what is read
        // later has signed before.
        let (verifying_version, verifying) = read::<Verifying>(&secrets.verifying).await?;
        let (signing_version, signing) = read::<Signing>(&secrets.signing).await?;
        let report = |steps| Rotated {
            steps,
            signing_kid: signing.key.kid.clone(),
            verifying_kids: verifying.keys.iter().map(|key| key.kid.clone()).collect(),
        };
        let at_once = start && steps.is_empty();
        let Some(step) = due(&signing, &verifying, signing_version.created_at, now, at_once) else {
            return Ok(report(steps));
        };
        let is_done = match take(step, signing.clone(), verifying.clone(), now)? {
            Change::Signing(signing) => secrets.signing.replace(&signing_version, text(&signing)?).await?,
            Change::Verifying(verifying) => {
                secrets.verifying.replace(&verifying_version, text(&verifying)?).await?
            }
        };
        if !is_done {
            warn!(?step, "another run came first");
            return Ok(report(steps));
        }
        info!(?step, "the keys of access tokens");
        steps.push(step);
    }
}

async fn read<T: DeserializeOwned>(secret: &Secret) -> Result<(Version, T), Failure> {
    let version = secret.version().await?;
    // The error could quote a key.
    let document = serde_json::from_str(&version.text);
    Ok((version, document.map_err(|_| Failure::fault("a secret of access tokens holds no keys"))?))
}

fn text(document: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(document).map_err(Failure::fault)
}
