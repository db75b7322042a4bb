//! Taking a hold, and giving it back.

use aws_config::SdkConfig;
use chrono::{DateTime, TimeDelta, Timelike};
use serde::{Deserialize, Serialize};
use shared::{Caller, ConnectorId, Failure, MissingSetting, Money, Outbox, StationId, Timestamp};

use crate::calendar::slot_taken;
use crate::calendar_book::Calendars;
use crate::hold::Hold;
use crate::hold_event::HoldEvents;
use crate::hold_limits;
use crate::hold_script::Taken;
use crate::hold_token::HoldToken;
use crate::store;
use crate::store::holds::Outcome;

/// How far ahead a hold may begin.
pub(crate) const LAST_START: TimeDelta = TimeDelta::days(30);
const SHORTEST: TimeDelta = TimeDelta::minutes(15);
const LONGEST: TimeDelta = TimeDelta::hours(24);

/// Arguments of `Mutation.holdSlot`.
#[derive(Debug, Deserialize)]
pub struct HoldSlot {
    input: SlotWish,
}

/// Which slot somebody wants.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotWish {
    #[serde(deserialize_with = "rest::parsed")]
    station_id: StationId,
    #[serde(deserialize_with = "rest::parsed")]
    connector_id: ConnectorId,
    start_ts: FullMinute,
    end_ts: FullMinute,
}

/// A moment without seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct FullMinute(Timestamp);

impl TryFrom<String> for FullMinute {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let moment =
            text.parse::<Timestamp>().map_err(|_| "must be a moment such as 2024-01-01T10:00:00Z")?;
        if moment.second() == 0 && moment.nanosecond() == 0 {
            Ok(Self(moment))
        } else {
            Err("must be at a full minute")
        }
    }
}

/// Arguments of `Mutation.releaseHold`, and of its route.
#[derive(Debug, Deserialize)]
pub struct ReleaseHold {
    token: HoldToken,
}

/// GraphQL `SlotHold`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotHold {
    /// Confirms the booking.
    pub token: HoldToken,
    /// The connector's.
    pub station_id: StationId,
    /// What is held …
    pub connector_id: ConnectorId,
    /// … from …
    pub start_ts: Timestamp,
    /// … to.
    pub end_ts: Timestamp,
    /// Whole seconds, for how long it is held.
    pub expires_in: i64,
    /// Until when.
    pub expires_at: Timestamp,
    /// What confirming costs; none if nothing.
    pub booking_fee: Option<Money>,
}

/// What `POST /v1/bookings/holds` tells of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestHold {
    token: HoldToken,
    expires_in: i64,
}

impl From<SlotHold> for RestHold {
    fn from(hold: SlotHold) -> Self {
        Self { token: hold.token, expires_in: hold.expires_in }
    }
}

/// What `DELETE /v1/bookings/holds/{token}` tells.
#[derive(Debug, Serialize)]
pub struct Released {
    released: bool,
}

impl Released {
    /// There is no such hold any more.
    pub const DONE: Self = Self { released: true };
}

/// What taking holds needs: calendars, and whom to tell.
pub struct HoldDesk {
    calendars: Calendars,
    outbox: Outbox,
    events: HoldEvents,
}

impl HoldDesk {
    /// Of calendars, the outbox for holds in the database, and the bus for those in Redis.
    pub fn new(calendars: Calendars, outbox: Outbox, events: HoldEvents) -> Self {
        Self { calendars, outbox, events }
    }

    /// From the settings of its parts.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Calendars::from_env(config)?, Outbox::from_env(config)?, HoldEvents::from_env(config)?))
    }
}

/// [`hold`], for GraphQL, whose arguments are inside `input`.
pub async fn hold_slot(desk: &HoldDesk, caller: &Caller, request: HoldSlot) -> Result<SlotHold, Failure> {
    hold(desk, caller, request.input).await.map_err(|failure| match failure {
        Failure::Invalid { field, message } => Failure::invalid(format!("input.{field}"), message),
        failure => failure,
    })
}

/// Keeps a slot for the caller; who asks for their own again gets the same hold.
pub async fn hold(desk: &HoldDesk, caller: &Caller, wish: SlotWish) -> Result<SlotHold, Failure> {
    let user = caller.user()?.id;
    // Moments are told and kept to the millisecond.
    let now = DateTime::from_timestamp_millis(caller.at.timestamp_millis()).unwrap_or(caller.at);
    let (start, end) = times(&wish, now)?;
    let holds = desk.calendars.holds();
    hold_limits::admit(holds.cache(), user, caller.source_ip.as_deref()).await?;
    let calendar = desk.calendars.of(wish.station_id, now).await?;
    calendar.bookable(wish.connector_id, start, end, user, now)?;

    let wanted = Hold {
        token: HoldToken::new(now),
        user_id: user,
        station_id: wish.station_id,
        connector_id: wish.connector_id,
        start_ts: start,
        end_ts: end,
        expires_at: now + holds.settings().lifetime,
    };
    let hold = match holds.take(&wanted, now).await {
        Some(Taken::Hold) => {
            if let Err(failure) = desk.events.tell(&wanted, now, caller.correlation_id).await {
                holds.give_back(&wanted).await;
                return Err(failure);
            }
            wanted
        }
        // It was told of, unless that request was cut off: told twice, it is one event.
        Some(Taken::Earlier { token, expires_at }) => {
            let hold = Hold { token, expires_at, ..wanted };
            desk.events.tell(&hold, now, caller.correlation_id).await?;
            hold
        }
        Some(Taken::Overlaps) => return Err(slot_taken()),
        Some(Taken::TooMany) => return Err(too_many(desk)),
        None => hold_in_database(desk, wanted, now, caller).await?,
    };
    Ok(SlotHold {
        expires_in: (hold.expires_at - now).num_seconds(),
        token: hold.token,
        station_id: hold.station_id,
        connector_id: hold.connector_id,
        start_ts: start,
        end_ts: end,
        expires_at: hold.expires_at,
        booking_fee: calendar.booking_fee,
    })
}

/// Redis is gone. If it took the hold and only its answer was lost, both have the same.
async fn hold_in_database(
    desk: &HoldDesk,
    wanted: Hold,
    now: Timestamp,
    caller: &Caller,
) -> Result<Hold, Failure> {
    let most = desk.calendars.holds().settings().most_per_user;
    match store::holds::take(&desk.outbox, &wanted, most, now, caller.correlation_id).await? {
        Outcome::Taken { token, expires_at } => Ok(Hold { token, expires_at, ..wanted }),
        Outcome::Overlaps => Err(slot_taken()),
        Outcome::TooMany => Err(too_many(desk)),
        Outcome::NoAccount => Err(Failure::NotFound("account")),
        Outcome::NoConnector => Err(Failure::NotFound("connector")),
    }
}

/// Gives a hold of the caller's back. What is gone, or another's, stays as it is, and is no failure.
pub async fn release_hold(
    calendars: &Calendars,
    caller: &Caller,
    request: ReleaseHold,
) -> Result<bool, Failure> {
    let user = caller.user()?.id;
    let (holds, database) = (calendars.holds(), calendars.database());
    let known = holds.of_user(&request.token, user).await.ok().flatten();
    if let Some(hold) = &known {
        holds.give_back(hold).await;
    }
    let kept = store::holds::release(database, &request.token, user, known.as_ref(), caller.at).await?;
    if let Some(hold) = known.or(kept) {
        holds.forget_calendar(hold.station_id).await;
    }
    Ok(true)
}

/// Start and end, if they can be held at `now`.
fn times(wish: &SlotWish, now: Timestamp) -> Result<(Timestamp, Timestamp), Failure> {
    let (FullMinute(start), FullMinute(end)) = (wish.start_ts, wish.end_ts);
    if start <= now {
        return Err(Failure::invalid("startTs", "must be in the future"));
    }
    if start > now + LAST_START {
        return Err(Failure::invalid("startTs", "must be at most 30 days ahead"));
    }
    if !(SHORTEST..=LONGEST).contains(&(end - start)) {
        return Err(Failure::invalid("endTs", "must be 15 minutes to 24 hours after startTs"));
    }
    Ok((start, end))
}

fn too_many(desk: &HoldDesk) -> Failure {
    let most = desk.calendars.holds().settings().most_per_user;
    let message = format!("you hold {most} slots, confirm one or give it back");
    Failure::conflict("TOO_MANY_HOLDS", message)
}
