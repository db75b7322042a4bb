//! Which port belongs to what, and a clear word when one is taken.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Every port of a stack, all on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) appsync: u16,
    pub(crate) appsync_tls: u16,
    pub(crate) http_api: u16,
    pub(crate) websocket_api: u16,
    pub(crate) lambda: u16,
    pub(crate) data_api: u16,
    pub(crate) ministack: u16,
    pub(crate) postgres: u16,
    pub(crate) redis: u16,
    pub(crate) mongo: u16,
    pub(crate) open_charge_map: u16,
    pub(crate) stripe: u16,
}

/// A port that something else holds.
#[derive(Debug, thiserror::Error)]
#[error(
    "port {port} is taken by another program, and {user} needs it: stop that program (`ss -ltnp 'sport = :{port}'` \
     shows it), or move every port with --port-base PORT (LOCAL_PORT_BASE)"
)]
pub(crate) struct PortTaken {
    port: u16,
    user: &'static str,
}

impl Ports {
    /// The documented ports.
    pub(crate) fn fixed() -> Self {
        Self {
            appsync: 4000,
            appsync_tls: 4443,
            http_api: 4001,
            websocket_api: 4002,
            lambda: 4003,
            data_api: 4004,
            ministack: 4566,
            postgres: 25432,
            redis: 26379,
            mongo: 27099,
            open_charge_map: 4005,
            stripe: 4006,
        }
    }

    /// Consecutive ports, in the order of the documentation.
    pub(crate) fn from_base(base: u16) -> Self {
        Self {
            appsync: base,
            appsync_tls: base + 1,
            http_api: base + 2,
            websocket_api: base + 3,
            lambda: base + 4,
            data_api: base + 5,
            ministack: base + 6,
            postgres: base + 7,
            redis: base + 8,
            mongo: base + 9,
            open_charge_map: base + 10,
            stripe: base + 11,
        }
    }
}

/// `127.0.0.1:port`.
pub(crate) fn here(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Takes `port` for a door.
pub(crate) fn listen(port: u16, user: &'static str) -> Result<tokio::net::TcpListener, PortTaken> {
    let taken = |_| PortTaken { port, user };
    let listener = TcpListener::bind(here(port)).map_err(taken)?;
    listener.set_nonblocking(true).map_err(taken)?;
    tokio::net::TcpListener::from_std(listener).map_err(taken)
}

/// Checks that a program about to be started can have `port`.
pub(crate) fn check_free(port: u16, user: &'static str) -> Result<(), PortTaken> {
    TcpListener::bind(here(port)).map(drop).map_err(|_| PortTaken { port, user })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_user_and_the_way_out() {
        let holder = TcpListener::bind(here(0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        let message = check_free(port, "Redis").unwrap_err().to_string();
        for part in [&port.to_string(), "Redis", "--port-base"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
