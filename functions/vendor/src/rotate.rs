//! `rotateVendorKey`: a vendor gets a new key, and the old one ends.

use serde::Deserialize;
use shared::{Caller, Failure, Reason, Role, VendorId};
use tracing::{info, warn};

use crate::{Key, Keys, Overlap, VendorCredentials, Vendors, store};

/// How many rotations of one vendor may get in each other's way.
const ATTEMPTS: usize = 8;

/// The arguments of `Mutation.rotateVendorKey`.
#[derive(Debug, Deserialize)]
pub struct RotateVendorKey {
    input: RotateInput,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RotateInput {
    vendor_id: VendorId,
    overlap_hours: Option<Overlap>,
    reason: Reason,
}

/// Gives a vendor a key beside those it has, which end with the overlap. Of rotations at once each makes a key that
/// signs: the secret is replaced by who has seen what it holds, or not at all. First of all the reason is noted.
pub async fn rotate_key(
    vendors: &Vendors,
    caller: &Caller,
    RotateVendorKey { input }: RotateVendorKey,
) -> Result<VendorCredentials, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    let RotateInput { vendor_id, overlap_hours, reason } = input;
    let database = vendors.outbox.database();
    let revision = store::note_rotation(database, vendor_id, operator, &reason, caller).await?;
    let revision = revision.ok_or(Failure::NotFound("vendor"))?;
    let key = Key::new(caller.at);
    let overlap = overlap_hours.unwrap_or_default();
    let keys = add(vendors, vendor_id, &key, overlap, revision, caller).await?;
    info!(vendor = %vendor_id, keys = keys.keys.len(), "the vendor's key was rotated");
    let vendor = store::keep_keys(database, vendor_id, &keys, caller.at).await?;
    let vendor = vendor.ok_or(Failure::NotFound("vendor"))?;
    Ok(VendorCredentials { vendor, secret: key.secret.reveal() })
}

/// What the secret holds with `key` in it. A secret that is gone begins again after `revision`.
async fn add(
    vendors: &Vendors,
    vendor: VendorId,
    key: &Key,
    overlap: Overlap,
    revision: i64,
    caller: &Caller,
) -> Result<Keys, Failure> {
    for _ in 0..ATTEMPTS {
        let Some(seen) = vendors.vault.read(vendor).await? else {
            warn!(%vendor, "the vendor's secret is gone: it gets another");
            let keys = Keys::only(key, revision + 1);
            if vendors.vault.create(vendor, &keys).await? {
                return Ok(keys);
            }
            continue;
        };
        // Ours, although we were told otherwise: the answer was lost.
        if seen.keys.hold(key.id) {
            return Ok(seen.keys);
        }
        let keys = seen.keys.rotated(key, overlap, caller.at)?;
        if vendors.vault.replace(vendor, &seen, &keys).await? {
            return Ok(keys);
        }
    }
    Err(Failure::Unavailable("the vendor's secret"))
}
