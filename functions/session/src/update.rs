//! `updateSession`: an operator's word on what a charger told wrongly or not to the end.

use rust_decimal::Decimal;
use serde::Deserialize;
use shared::{Caller, Failure, Reason, Role, SessionId, Timestamp};

use crate::store::Uncorrected;
use crate::{Session, Stores};

/// More than this no session takes, in kWh.
const MOST_KWH: u32 = 10_000;

/// The arguments of `Mutation.updateSession`.
#[derive(Debug, Deserialize)]
pub struct UpdateRequest {
    /// Its only argument.
    pub input: UpdateInput,
}

/// The GraphQL `UpdateSessionInput`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateInput {
    /// The session to correct.
    pub id: SessionId,
    /// What really flowed; none leaves it as it is.
    #[serde(rename = "energyKWh")]
    pub energy: Option<CorrectedEnergy>,
    /// When it really ended; none leaves it as it is.
    pub end_time: Option<Timestamp>,
    /// Kept in the audit log.
    pub reason: Reason,
}

/// Kilowatt-hours from 0 to 10000 with up to four decimals: digits with at most one point, as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct CorrectedEnergy(Decimal);

impl CorrectedEnergy {
    /// In kWh.
    pub fn kwh(self) -> Decimal {
        self.0
    }
}

impl TryFrom<String> for CorrectedEnergy {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_digit = |c: char| c.is_ascii_digit();
        let is_plain = text.len() <= 10
            && text.chars().all(|c| is_digit(c) || c == '.')
            && text.starts_with(is_digit)
            && text.ends_with(is_digit);
        match Decimal::from_str_exact(&text) {
            Ok(energy) if is_plain && energy.scale() <= 4 && energy <= Decimal::from(MOST_KWH) => {
                Ok(Self(energy))
            }
            _ => Err("must be a decimal from 0 to 10000 with at most 4 decimals, such as 22.4"),
        }
    }
}

/// Corrects a session that has begun and is not billed yet. What an operator says of it stands, whatever its charger
/// tells later; with an end it is over.
pub async fn update(stores: &Stores, caller: Caller, request: UpdateRequest) -> Result<Session, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    let input = request.input;
    if input.energy.is_none() && input.end_time.is_none() {
        return Err(Failure::invalid("input", "has neither energyKWh nor endTime to correct"));
    }
    if input.end_time.is_some_and(|end| end > caller.at) {
        return Err(Failure::invalid("input.endTime", "is in the future"));
    }
    let updated = stores.update(&input, operator, caller.correlation_id, caller.at).await?;
    updated.ok_or(Failure::NotFound("session"))?.map_err(Failure::from)
}

impl From<Uncorrected> for Failure {
    fn from(refusal: Uncorrected) -> Self {
        match refusal {
            Uncorrected::NotBegun => {
                Self::conflict("SESSION_NOT_BEGUN", "nothing has flowed that could be corrected")
            }
            Uncorrected::AlreadyBilled => {
                Self::conflict("ALREADY_BILLED", "the session is billed: refund its invoice instead")
            }
            Uncorrected::EndsBeforeStart => Self::invalid("input.endTime", "is before the session's start"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn energy_is_a_plain_bounded_decimal() {
        let energy = |text: &str| CorrectedEnergy::try_from(text.to_owned());
        for text in ["0", "22.4", "0.0001", "10000", "10000.0000"] {
            assert!(energy(text).is_ok(), "{text}");
        }
        for text in
            ["", "-1", "+1", "1e3", "10000.0001", "1.00001", ".5", "5.", " 5", "1_0", "1,5", "NaN", "٥"]
        {
            assert!(energy(text).is_err(), "{text}");
        }
    }
}
