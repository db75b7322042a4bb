//! Vendors as operators see them.

use aws_config::SdkConfig;
use serde::{Deserialize, Serialize};
use shared::{MissingSetting, Outbox, Timestamp, VendorId};

use crate::{KeyId, Vault};

/// GraphQL `Vendor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vendor {
    /// Its id, which its webhooks name.
    pub id: VendorId,
    /// As it was registered.
    pub name: String,
    /// Those that sign at present, newest first.
    pub keys: Vec<VendorKey>,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// GraphQL `VendorKey`: a key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VendorKey {
    /// Its name.
    pub id: KeyId,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is accepted no longer; none while it is the newest.
    pub expires_at: Option<Timestamp>,
}

/// GraphQL `VendorCredentials`, shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VendorCredentials {
    /// Whose.
    pub vendor: Vendor,
    /// `whsec_…`.
    pub secret: String,
}

/// The database and the secrets.
pub struct Vendors {
    pub(crate) outbox: Outbox,
    pub(crate) vault: Vault,
}

impl Vendors {
    /// Vendors in that database, with their secrets in that vault.
    pub fn new(outbox: Outbox, vault: Vault) -> Self {
        Self { outbox, vault }
    }

    /// From the settings of [`Outbox::from_env`] and [`Vault::from_env`].
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Outbox::from_env(config)?, Vault::from_env(config)?))
    }
}

impl std::fmt::Debug for VendorCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VendorCredentials").field("vendor", &self.vendor).finish_non_exhaustive()
    }
}
