//! Settings come from the template's environment, once, in wiring.

use aws_config::{BehaviorVersion, SdkConfig};

/// A variable that the template should set and does not.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {0} is not set")]
pub struct MissingSetting(&'static str);

/// The value of an environment variable that the function cannot work without.
pub fn setting(name: &'static str) -> Result<String, MissingSetting> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or(MissingSetting(name))
}

/// Region, credentials and endpoints as Lambda sets them: what every AWS client is made from.
pub async fn aws_config() -> SdkConfig {
    aws_config::load_defaults(BehaviorVersion::latest()).await
}
