//! `registerVendor`: an operator lets a charging network report by webhook.

use serde::Deserialize;
use shared::{Caller, Failure, Role, VendorId};

use crate::{Key, Keys, VendorCredentials, VendorName, Vendors, store};

/// The arguments of `Mutation.registerVendor`.
#[derive(Debug, Deserialize)]
pub struct RegisterVendor {
    input: RegisterInput,
}

#[derive(Debug, Deserialize)]
struct RegisterInput {
    name: VendorName,
}

/// Makes a vendor with its first key. The secret comes first: a vendor that exists can sign. Whoever got no answer asks
/// again, and either gets one, or hears that the name is taken and rotates that vendor's key.
pub async fn register(
    vendors: &Vendors,
    caller: &Caller,
    RegisterVendor { input: RegisterInput { name } }: RegisterVendor,
) -> Result<VendorCredentials, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    let taken = || Failure::conflict("VENDOR_NAME_TAKEN", "another vendor has this name");
    if store::is_name_taken(vendors.outbox.database(), &name).await? {
        return Err(taken());
    }
    let (id, key) = (VendorId::new(), Key::new(caller.at));
    if !vendors.vault.create(id, &Keys::only(&key, 1)).await? {
        return Err(Failure::fault(format!("a new vendor, {id}, has a secret already")));
    }
    match store::register(vendors.outbox.database(), id, &name, key.id, operator, caller).await? {
        Some(vendor) => Ok(VendorCredentials { vendor, secret: key.secret.reveal() }),
        None => {
            // Somebody was faster.
            vendors.vault.discard(id).await;
            Err(taken())
        }
    }
}
