//! Prices by the public rules of the crate `tariff`, for any tariff and any session; and that what is estimated before a
//! charge is what is billed after it, through the front door.

mod bills;
mod cases;
mod rules;

use super::place::{Needs, Place};
use super::{Proof, Size};
use crate::Result;

/// Nothing costs less for being more, nothing is lost between parts and whole, and an estimate is a bill.
pub(super) async fn run(size: Size, place: &Place, seed: u64) -> Result<Proof> {
    let cases = size.of(5_000, 100_000);
    let ruled = tokio::task::spawn_blocking(move || rules::hold(cases, seed));
    let needs = Needs::default();
    let billed = place.prove("tariffs", needs, async |own| bills::as_estimated(size, &own.stack, seed).await);
    let (ruled, billed) = tokio::join!(ruled, billed);
    let (ruled, billed) = (ruled??, billed?);
    Ok(Proof {
        name: "tariffs",
        figure: format!(
            "{cases} tariffs and sessions: cost monotone in energy and time, {ruled} splits ({} at band edges) within \
             their three roundings, lines and VAT add up; {billed} estimates equal their invoices to the line",
            ruled.at_edges,
            ruled = ruled.splits,
        ),
    })
}
