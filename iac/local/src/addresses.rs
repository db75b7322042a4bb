//! Where everything is, for people (a table) and for programs (`<data>/stack.json`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::environment::Functions;
use crate::ports::Ports;
use crate::stores::Stores;

/// The content of `stack.json`, which exists exactly while the stack answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StackFile {
    /// The process to signal to stop it all.
    pub(crate) pid: u32,
    pub(crate) stack_name: String,
    pub(crate) region: String,
    pub(crate) account: String,
    /// Milliseconds from the command's start until everything answered.
    pub(crate) started_in_ms: u64,
    pub(crate) addresses: Addresses,
    /// The GraphQL API's key, if the template has one.
    pub(crate) api_key: Option<String>,
    /// PEM file of the authority behind the TLS door's certificate (`NODE_EXTRA_CA_CERTS`).
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) stores: Stores,
    /// Physical ids by logical id.
    pub(crate) resources: BTreeMap<String, String>,
    /// The template's outputs, with local addresses.
    pub(crate) outputs: BTreeMap<String, String>,
    /// What each function is given.
    pub(crate) functions: Functions,
}

/// Base URLs of the doors.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Addresses {
    pub(crate) graphql: String,
    pub(crate) graphql_tls: String,
    pub(crate) realtime: String,
    pub(crate) http_api: String,
    pub(crate) websocket_api: String,
    /// Where a charger dials, followed by its id.
    pub(crate) ocpp: String,
    /// The live feed: where its WebSocket API's stage is, to be followed by `?token=`.
    pub(crate) live: String,
    pub(crate) lambda: String,
    pub(crate) data_api: String,
    pub(crate) aws: String,
}

impl Addresses {
    pub(crate) fn of(ports: &Ports) -> Self {
        let url = |scheme: &str, port: u16, path: &str| format!("{scheme}://127.0.0.1:{port}{path}");
        Self {
            graphql: url("http", ports.appsync, "/graphql"),
            graphql_tls: url("https", ports.appsync_tls, "/graphql"),
            realtime: url("ws", ports.appsync, "/graphql/realtime"),
            http_api: url("http", ports.http_api, ""),
            websocket_api: url("ws", ports.websocket_api, ""),
            ocpp: url("ws", ports.websocket_api, "/ocpp/"),
            live: url("ws", ports.websocket_api, "/live"),
            lambda: url("http", ports.lambda, ""),
            data_api: url("http", ports.data_api, ""),
            aws: url("http", ports.ministack, ""),
        }
    }
}

impl StackFile {
    /// Writes the file whole or not at all: whoever waits for it may read at once.
    pub(crate) fn write(&self, data: &Path) -> std::io::Result<()> {
        let partial = data.join("stack.json.partial");
        std::fs::write(&partial, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(partial, data.join("stack.json"))
    }

    /// Removes it.
    pub(crate) fn remove(data: &Path) {
        // It may never have been written.
        let _ = std::fs::remove_file(data.join("stack.json"));
    }
}

impl fmt::Display for StackFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Addresses { graphql, graphql_tls, realtime, http_api, ocpp, live, lambda, data_api, .. } =
            &self.addresses;
        let ocpp = format!("{ocpp}{{chargePointId}}");
        let rows = [
            ("GraphQL", graphql),
            ("GraphQL (TLS)", graphql_tls),
            ("subscriptions", realtime),
            ("REST", http_api),
            ("live feed", live),
            ("chargers (OCPP)", &ocpp),
            ("Lambda Invoke API", lambda),
            ("RDS Data API", data_api),
        ];
        writeln!(
            f,
            "The stack {} is up, {:.1} s after the start.",
            self.stack_name,
            self.started_in_seconds()
        )?;
        for (name, address) in rows {
            writeln!(f, "  {name:<18} {address}")?;
        }
        if let Some(key) = &self.api_key {
            writeln!(f, "  {:<18} {key}", "x-api-key")?;
        }
        let Stores { postgres, redis, mongo, ministack, open_charge_map, stripe } = &self.stores;
        let stores =
            [("PostgreSQL", postgres), ("Redis", redis), ("MongoDB", mongo), ("AWS services", ministack)];
        let stores = stores.into_iter().chain(open_charge_map.iter().map(|store| ("OpenChargeMap", store)));
        let stores = stores.chain(stripe.iter().map(|store| ("Stripe", store)));
        for (name, store) in stores {
            writeln!(f, "  {name:<18} {}  ({})", store.url, store.kind)?;
        }
        write!(f, "Ctrl-C stops it.")
    }
}

impl StackFile {
    fn started_in_seconds(&self) -> f64 {
        std::time::Duration::from_millis(self.started_in_ms).as_secs_f64()
    }
}
