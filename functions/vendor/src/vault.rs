//! Vendors' secrets in Secrets Manager, one a vendor. What is in one may be replaced by whoever has seen it.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use shared::{Failure, MissingSetting, VendorId, setting};
use tracing::warn;
use uuid::Uuid;

use crate::Keys;

const UNAVAILABLE: Failure = Failure::Unavailable("the vendors' keys");
const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";

/// All vendors' secrets.
pub struct Vault {
    client: Client,
    prefix: String,
}

/// What a secret held at one time.
pub(crate) struct Version {
    pub(crate) keys: Keys,
    id: String,
}

impl Vault {
    /// The secrets whose names are `prefix` and a vendor's id.
    pub fn new(config: &SdkConfig, prefix: impl Into<String>) -> Self {
        Self { client: Client::new(config), prefix: prefix.into() }
    }

    /// From `VENDOR_SECRET_PREFIX`; reads nothing yet.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(config, setting("VENDOR_SECRET_PREFIX")?))
    }

    /// Makes a vendor's secret. False, and nothing is changed, when it has one.
    pub(crate) async fn create(&self, vendor: VendorId, keys: &Keys) -> Result<bool, Failure> {
        let create = self.client.create_secret().name(self.name(vendor)).secret_string(text(keys)?);
        let create = create.client_request_token(Uuid::new_v4().to_string());
        // On the heap: the SDK's futures nest so deeply that a handler around them overflows the compiler's limits.
        match Box::pin(create.send()).await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_exists_exception()) => {
                Ok(false)
            }
            Err(error) => Err(failed("made", DisplayErrorContext(error))),
        }
    }

    /// What a vendor's secret holds; none when there is none, or it is about to be deleted.
    pub(crate) async fn read(&self, vendor: VendorId) -> Result<Option<Version>, Failure> {
        let get = self.client.get_secret_value().secret_id(self.name(vendor));
        let answer = match Box::pin(get.send()).await {
            Ok(answer) => answer,
            Err(error)
                if error.as_service_error().is_some_and(|e| {
                    e.is_resource_not_found_exception() || e.is_invalid_request_exception()
                }) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failed("read", DisplayErrorContext(error))),
        };
        // The error could quote a key.
        let keys = serde_json::from_str(answer.secret_string().unwrap_or_default())
            .map_err(|_| Failure::fault(format!("the secret of vendor {vendor} holds no keys")))?;
        Ok(Some(Version { keys, id: answer.version_id.unwrap_or_default() }))
    }

    /// Puts `keys` in the place of `seen`. False, and nothing is changed, when that is not what the secret holds any
    /// more: the label moves from the version that it is said to be on, or not at all.
    pub(crate) async fn replace(
        &self,
        vendor: VendorId,
        seen: &Version,
        keys: &Keys,
    ) -> Result<bool, Failure> {
        let put = self.client.put_secret_value().secret_id(self.name(vendor)).secret_string(text(keys)?);
        let put = put.client_request_token(Uuid::new_v4().to_string()).version_stages(PENDING);
        let put =
            Box::pin(put.send()).await.map_err(|error| failed("written", DisplayErrorContext(error)))?;

        let promote = self.client.update_secret_version_stage().secret_id(self.name(vendor));
        let promote = promote.version_stage(CURRENT).remove_from_version_id(&seen.id);
        match Box::pin(promote.set_move_to_version_id(put.version_id).send()).await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_invalid_parameter_exception()) => {
                Ok(false)
            }
            Err(error) => Err(failed("written", DisplayErrorContext(error))),
        }
    }

    /// Takes back a secret of which nobody has heard. One that cannot be stays, and opens nothing.
    pub(crate) async fn discard(&self, vendor: VendorId) {
        let delete =
            self.client.delete_secret().secret_id(self.name(vendor)).force_delete_without_recovery(true);
        if let Err(error) = Box::pin(delete.send()).await {
            warn!(cause = %DisplayErrorContext(error), %vendor, "the secret of no vendor stays");
        }
    }

    fn name(&self, vendor: VendorId) -> String {
        format!("{}{vendor}", self.prefix)
    }
}

fn failed(what: &str, cause: impl std::fmt::Display) -> Failure {
    warn!(%cause, "a vendor's secret cannot be {what}");
    UNAVAILABLE
}

fn text(keys: &Keys) -> Result<String, Failure> {
    serde_json::to_string(keys).map_err(Failure::fault)
}
