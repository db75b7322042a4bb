//! What a client says on its socket.

use shared::{Failure, StationId};
use tracing::{info, warn};

use crate::frame::{Frame, Wish};
use crate::socket::expiry;
use crate::store::Subscribed;
use crate::{LiveTable, MOST_STATIONS, SocketAnswer, SocketEvent, Sockets};

/// Does what the message asks for and says so; an `error` frame says what is wrong with it. A repeated message changes
/// nothing and is answered alike, which also keeps an idle socket open. Whether there is such a station is not asked:
/// of one that there is not, nothing will ever be told. A socket that we do not know is hung up.
pub async fn receive(
    table: &LiveTable,
    sockets: &Sockets,
    event: &SocketEvent,
) -> Result<SocketAnswer, Failure> {
    let answer = match Wish::read(event.body()) {
        Ok(Wish::Subscribe(station)) => Box::pin(subscribe(table, event, station)).await,
        Ok(Wish::Unsubscribe(station_id)) => {
            let socket = event.socket();
            let is_known = Box::pin(table.unsubscribe(&socket, station_id)).await;
            is_known.map(|is_known| is_known.then_some(Frame::Unsubscribed { station_id }))
        }
        Err(failure) => Err(failure),
    };
    match answer {
        Ok(Some(frame)) => Ok(SocketAnswer::frame(frame.text()?)),
        Ok(None) => {
            // Its record has expired, or was swept: a new handshake makes a new one.
            warn!("a message on a socket that we do not know: hung up");
            Box::pin(sockets.hang_up(&event.socket())).await?;
            Ok(SocketAnswer::status(410))
        }
        Err(failure) => match Frame::of_failure(&failure) {
            Some(frame) => {
                // Why, would quote what the client said.
                info!(error_type = failure.error_type(), "refused");
                Ok(SocketAnswer::frame(frame.text()?))
            }
            None => Err(failure),
        },
    }
}

async fn subscribe(
    table: &LiveTable,
    event: &SocketEvent,
    station_id: StationId,
) -> Result<Option<Frame<'static>>, Failure> {
    match table.subscribe(&event.socket(), station_id, expiry(event.connected_at())).await? {
        Subscribed::Done => Ok(Some(Frame::Subscribed { station_id })),
        Subscribed::Unknown => Ok(None),
        Subscribed::Full => {
            let message = format!("a connection subscribes to at most {MOST_STATIONS} stations");
            Err(Failure::conflict("LIMIT", message))
        }
    }
}
