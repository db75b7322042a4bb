//! Asking for the password again, before what a stolen access token must not be enough for.

use shared::{Cache, Caller, Failure};

use crate::credentials::Password;
use crate::limit::Attempt;
use crate::password;
use crate::store::WithPassword;

/// Whether `shown` is the password of the caller's account, tried no more often than a login may be. `field` is where
/// the client wrote it.
pub(crate) async fn prove(
    cache: &Cache,
    caller: &Caller,
    account: &WithPassword,
    shown: &Password,
    field: &'static str,
) -> Result<(), Failure> {
    let attempt = Attempt::new(&account.account.email, caller.source_ip.as_deref());
    attempt.admit(cache).await?;
    if !password::verify(shown, Some(&account.password_hash))? {
        return Err(wrong(field));
    }
    attempt.succeeded(cache).await;
    Ok(())
}

/// Not `Unauthenticated`: the caller's token is good, and an app that throws it away would help nobody.
pub(crate) fn wrong(field: &'static str) -> Failure {
    Failure::invalid(field, "is not the password of this account")
}
