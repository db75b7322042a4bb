//! Opening an account: the account, its first car and its first login are one write, told as `USER_REGISTERED`.

use chrono::SubsecRound;
use rust_decimal::Decimal;
use serde::Deserialize;
use shared::{Cache, Caller, Currency, Failure, Money, Outbox, Role, UserId, VehicleId};

use crate::account::{Account, VehicleInput};
use crate::credentials::{Email, Name, Password};
use crate::quota::RegistrationLimit;
use crate::refresh_token::RefreshToken;
use crate::tokens::{TokenIssuer, Tokens};
use crate::{password, store};

/// Arguments of `Mutation.register`.
#[derive(Deserialize)]
pub struct Register {
    input: Input,
}

#[derive(Deserialize)]
struct Input {
    email: Email,
    name: Name,
    password: Password,
    vehicle: Option<VehicleInput>,
}

/// Opens an account and logs it in.
pub async fn register(
    outbox: &Outbox,
    cache: &Cache,
    limit: RegistrationLimit,
    issuer: &TokenIssuer,
    caller: &Caller,
    Register { input }: Register,
) -> Result<Tokens, Failure> {
    let Input { email, name, password, vehicle } = input;
    password.check_for(&email, &name, "input.password")?;
    if let Some(quota) = limit.of(caller.source_ip.as_deref()) {
        quota.admit(cache).await?;
    }
    let account = Account {
        id: UserId::new(),
        email,
        name,
        roles: vec![Role::Driver],
        vehicles: vehicle.map(|car| car.into_vehicle(VehicleId::new())).into_iter().collect(),
        wallet_balance: Money::new(Decimal::ZERO, Currency::EUR),
        created_at: caller.at.trunc_subsecs(3),
    };
    let refresh_token = RefreshToken::generate();
    issuer.ready(caller.at).await?;
    let opening = store::Opening {
        account: &account,
        password_hash: password::hash(&password)?,
        id_tag: id_tag(),
        refresh_token: &refresh_token,
        correlation_id: caller.correlation_id,
    };
    store::open_account(outbox, opening).await?;
    issuer.issue(account, refresh_token, caller.at).await
}

/// What chargers will know the driver by: 20 characters that look the same in any case (OCPP 1.6 `idTag`).
fn id_tag() -> String {
    const ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    (0..20).map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tag_fits_ocpp_and_is_nobody_elses() {
        let tag = id_tag();
        assert_eq!(tag.len(), 20);
        assert!(tag.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()));
        assert_ne!(tag, id_tag());
    }
}
