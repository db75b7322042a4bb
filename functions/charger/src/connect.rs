//! `$connect`: who dials in, with which password, speaking what.

use shared::{Failure, Timestamp};
use tracing::{info, warn};

use crate::credentials::Basic;
use crate::{
    ChargePointId, Connection, Connections, Protocol, Records, SocketAnswer, SocketEvent, Sockets, verify,
};

/// Accepts a charger with its credentials and a protocol that we speak, in place of its older socket; refuses any
/// other: 404 for an unknown charger, 401 for wrong credentials, 400 for no shared protocol.
pub async fn connect(
    records: &dyn Records,
    connections: &dyn Connections,
    sockets: &dyn Sockets,
    event: &SocketEvent,
    at: Timestamp,
) -> Result<SocketAnswer, Failure> {
    let Some(Ok(charge_point_id)) = event.query("chargePointId").map(ChargePointId::from_url) else {
        return Ok(refused(404, "no usable identity"));
    };
    let basic = event.header("Authorization").and_then(|header| Basic::read(&header));
    let registered = records.find(&charge_point_id).await?;
    let password = basic.as_ref().map(|basic| basic.password.as_slice()).unwrap_or_default();
    let is_right = verify(password, registered.as_ref().map(|charger| charger.password_hash.as_str()));
    let Some(charger) = registered else {
        return Ok(refused(404, "unknown charger"));
    };
    let is_named = basic.is_some_and(|basic| basic.user == charge_point_id.as_str());
    if !(is_right && is_named) {
        return Ok(refused(401, "wrong credentials").with_header("WWW-Authenticate", r#"Basic realm="ocpp""#));
    }
    let offered = event.header("Sec-WebSocket-Protocol").unwrap_or_default();
    let Some(protocol) = Protocol::choose(&offered) else {
        return Ok(refused(400, "no shared subprotocol"));
    };

    let connection = Connection {
        id: event.connection_id().to_owned(),
        charge_point_id,
        charger: charger.id,
        protocol,
        registration: charger.registration,
        connected_at: at,
    };
    let replaced = connections.open(&connection).await?;
    records.connected(charger.id, &connection.id, protocol, at).await?;
    if let Some(old) = replaced
        && let Err(failure) = sockets.hang_up(&old).await
    {
        warn!(cause = failure.causes(), "the replaced socket is left to its idle limit");
    }
    info!(charger = %connection.charge_point_id, protocol = protocol.subprotocol(), "connected");
    Ok(SocketAnswer::status(200).with_header("Sec-WebSocket-Protocol", protocol.subprotocol()))
}

fn refused(status: u16, reason: &'static str) -> SocketAnswer {
    warn!(status, reason, "connection refused");
    SocketAnswer::status(status)
}
