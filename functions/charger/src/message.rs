//! A message from a charger: a call is answered, an answer is matched with the call of ours that it belongs to.

use std::borrow::Cow;

use ocpp_kit::rpc::{CallError, ErrorCode};
use serde_json::value::RawValue;
use shared::{CorrelationId, Failure, Timestamp};
use tracing::{Instrument, debug, info, info_span, warn};

use crate::answer::{Answers, Kept};
use crate::command::reserved;
use crate::frame::{self, Inbound};
use crate::protocol::{self, Message, RemoteAnswer};
use crate::{Connection, Desk, Outstanding, Purpose, Registration, SocketAnswer, SocketEvent};

const BOOT: &str = "BootNotification";

/// Takes in one message of a charger and answers it, if it is one to be answered.
pub async fn receive(
    desk: Desk<'_>,
    answers: &dyn Answers,
    event: &SocketEvent,
    at: Timestamp,
) -> Result<SocketAnswer, Failure> {
    let Some(connection) = desk.connections.find(event.connection_id()).await? else {
        // Its record has expired or was never written: a new handshake makes a new one.
        warn!("a message on a socket that we do not know: hung up");
        desk.sockets.hang_up(event.connection_id()).await?;
        return Ok(SocketAnswer::status(410));
    };
    let correlation_id = CorrelationId::new();
    let span = info_span!("message", charger = %connection.charge_point_id, %correlation_id);
    let take_in = async {
        match frame::read(event.body(), connection.protocol)? {
            Inbound::Call { id, action, payload } => {
                let message = Message {
                    records: desk.records,
                    charger: connection.charger,
                    received_at: at,
                    correlation_id,
                };
                serve(desk, answers, &connection, &message, &id, &action, payload).await.map(Some)
            }
            Inbound::Result { id, payload } => conclude(desk, &connection, &id, Ok(payload), at).await,
            Inbound::Error { id, code } => conclude(desk, &connection, &id, Err(code), at).await,
            Inbound::Defective(answer) => {
                warn!("a defective frame");
                Ok(Some(answer))
            }
            Inbound::Ignored(defect) => {
                warn!(%defect, "a defective frame, ignored");
                Ok(None)
            }
        }
    };
    Ok(SocketAnswer::frame(take_in.instrument(span).await?))
}

/// The answer to a charger's call.
async fn serve(
    desk: Desk<'_>,
    answers: &dyn Answers,
    connection: &Connection,
    message: &Message<'_>,
    id: &str,
    action: &str,
    payload: Cow<'_, RawValue>,
) -> Result<String, Failure> {
    let protocol = connection.protocol;
    if connection.registration != Registration::Accepted && action != BOOT {
        let error = CallError::new(ErrorCode::SecurityError, "boot and be accepted first");
        return frame::error(id, error, protocol);
    }
    let answer = match protocol::handler(protocol, action) {
        Ok(handle) => handle(message, &payload).await,
        Err(error) => Err(error),
    };
    let result = match answer {
        Ok(result) => result,
        Err(error) => {
            warn!(action, code = %error.code, "refused");
            return frame::error(id, error, protocol);
        }
    };
    info!(action, "served");
    if action == BOOT {
        note_registration(desk, connection, &result).await?;
    }
    let frame = frame::result(id, &result)?;
    let kept = Kept::of(connection, action, payload.get(), frame.clone(), message.received_at);
    let earlier = answers.keep(&connection.charge_point_id, id, &kept, message.received_at).await?;
    Ok(earlier.unwrap_or(frame))
}

async fn note_registration(desk: Desk<'_>, connection: &Connection, result: &str) -> Result<(), Failure> {
    #[derive(serde::Deserialize)]
    struct Booted {
        status: String,
    }
    let Booted { status } = serde_json::from_str(result).map_err(Failure::fault)?;
    let registration = match status.as_str() {
        "Accepted" => Registration::Accepted,
        "Pending" => Registration::Pending,
        _ => Registration::Rejected,
    };
    if registration != connection.registration {
        desk.connections.register(connection, registration).await?;
    }
    Ok(())
}

/// Matches an answer with the outstanding call. A late or stray one changes nothing.
async fn conclude(
    desk: Desk<'_>,
    connection: &Connection,
    id: &str,
    answer: Result<Cow<'_, RawValue>, String>,
    at: Timestamp,
) -> Result<Option<String>, Failure> {
    let charger = &connection.charge_point_id;
    let Some(Outstanding { call, .. }) =
        desk.calls.outstanding(charger).await?.filter(|outstanding| outstanding.call.message_id == id)
    else {
        debug!("an answer to nothing that is outstanding");
        return Ok(None);
    };
    let answer = match answer {
        Ok(payload) => protocol::remote_answer(connection.protocol, &call.action, &payload),
        Err(code) => {
            warn!(action = call.action, code, "answered with an error");
            RemoteAnswer::Refused(code)
        }
    };
    info!(action = call.action, purpose = ?call.purpose, ?answer, "answered");
    match (call.purpose, &answer) {
        (Purpose::Start(session), RemoteAnswer::Refused(_)) => {
            desk.records.fail(session, "REMOTE_START_REJECTED", at).await?;
        }
        // Accepted is not charging: that is for the transaction to tell. A refused stop is asked for again in time. A
        // charger that keeps no connectors, or not this one, changes nothing: the booking stands without it.
        (
            Purpose::Start(_)
            | Purpose::Stop(_)
            | Purpose::Refuse
            | Purpose::Reserve(_)
            | Purpose::Release(_),
            _,
        ) => {}
    }
    desk.calls.settle(charger, id).await?;
    if let (Purpose::Reserve(booking), RemoteAnswer::Accepted) = (call.purpose, answer) {
        reserved(desk, booking, at).await?;
    }
    desk.dispatch(charger, at).await?;
    Ok(None)
}
