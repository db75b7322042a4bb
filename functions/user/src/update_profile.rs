//! Changing what an account is called and what it logs in with.

use serde::Deserialize;
use shared::{Cache, Caller, Database, Failure};

use crate::account::Account;
use crate::credentials::{Email, Name, Password};
use crate::me::GONE;
use crate::proof::{prove, wrong};
use crate::quota::Quota;
use crate::store::{self, Profile};

const CURRENT: &str = "input.currentPassword";

/// Arguments of `Mutation.updateProfile`.
#[derive(Deserialize)]
pub struct UpdateProfile {
    input: Input,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    name: Option<Name>,
    email: Option<Email>,
    current_password: Option<Password>,
}

/// Changes what is told, and leaves what is not. A new address needs the password: with the address goes the account.
pub async fn update_profile(
    database: &Database,
    cache: &Cache,
    caller: &Caller,
    UpdateProfile { input: Input { name, email, current_password } }: UpdateProfile,
) -> Result<Account, Failure> {
    let owner = caller.user()?.id;
    let proven = match &email {
        None => None,
        Some(email) => {
            let found = store::account_to_prove(database, owner).await?.ok_or(GONE)?;
            let is_new = found.account.email != *email;
            if is_new {
                let shown = current_password.as_ref();
                let shown = shown.ok_or(Failure::invalid(CURRENT, "is needed for a new e-mail address"))?;
                prove(cache, caller, &found, shown, CURRENT).await?;
                // Each try tells whether an address has an account.
                Quota::new_address(owner).admit(cache).await?;
            }
            is_new.then_some(found)
        }
    };
    let profile = Profile {
        owner,
        name: name.as_ref(),
        email: email.as_ref().zip(proven.as_ref().map(|found| found.password_hash.as_str())),
        now: caller.at,
        correlation_id: caller.correlation_id,
    };
    let updated = store::update_profile(database, profile).await?;
    updated.ok_or_else(|| if proven.is_some() { wrong(CURRENT) } else { GONE })
}
