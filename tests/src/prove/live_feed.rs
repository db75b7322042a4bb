//! A thousand clients of the live feed, each on stations of its own choice, while networks and chargers report statuses
//! and a tenth of the clients goes and comes back: everybody is told all of their stations, nothing else, once and in
//! order, and who has gone leaves nothing behind.

mod board;
mod check;
mod listener;
mod reports;
mod table;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::TimeDelta;
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream, try_join};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::billing::published;
use super::cast::Cast;
use super::dice::Dice;
use super::network::Network;
use super::place::{Needs, OwnStack, Place};
use super::queues::{Queue, Queues};
use super::{Proof, Size};
use crate::journey::CHARGER_PASSWORD;
use crate::stack::Stack;
use crate::{Result, wait};
use board::Board;
use check::Told;
use listener::{Client, Listener, Manner, Order, Visit};
use reports::{Connector, Reporter, Reports};
use table::Table;

/// Places of one user's that are used; it has two more for sockets that come back before they are known to be gone.
const SOCKETS_A_DRIVER: usize = 8;
/// Stations that a client chooses, at most.
const MOST_STATIONS: usize = 5;
/// Of a network's, at each station.
const CONNECTORS: usize = 2;
/// Handshakes at a time.
const AT_ONCE: usize = 16;
/// Beside the clients' sockets: what stack and proof have open anyway.
const OTHER_FILES: u64 = 1000;

/// All and only what was asked for.
pub(super) async fn run(size: Size, place: &Place, seed: u64) -> Result<Proof> {
    let clients = size.of(60, 1000);
    room_for(clients)?;
    let proof = async |own: &OwnStack| prove(size, clients, &own.stack, &Dice::new(seed)).await;
    place.prove("live-feed", Needs::default(), proof).await
}

async fn prove(size: Size, clients: usize, stack: &Stack, dice: &Dice) -> Result<Proof> {
    let (returns, pauses) = (size.of(10, 100), size.of(6, 50));
    let (cast, queues) = (Cast::new(stack).await?, Queues::of(stack).await);
    let (network, connectors) = stations(size, &cast).await?;
    published(stack, &cast.database, size).await?;
    let quiet = Quiet {
        reports: queues.queue(stack, "VendorQueue")?,
        feed: queues.queue(stack, "LiveFanOutQueue")?,
        size,
    };
    quiet.wait().await?;

    let board = Arc::new(Board::default());
    let audience = audience(&cast, clients, returns + pauses, &connectors, dice, &board).await?;
    let mut steady = HashMap::new();
    for station in audience.iter().filter(|client| client.is_steady).flat_map(|client| &client.stations) {
        *steady.entry(*station).or_default() += 1;
    }
    let dialling = audience.iter().map(async |client| client.connect().await);
    let listeners: Vec<Listener> = stream::iter(dialling).buffered(AT_ONCE).try_collect().await?;
    let (orders, listening): (Vec<_>, Vec<_>) = listeners.into_iter().map(listen).unzip();

    let reports =
        Reports { stack, network, board: Arc::clone(&board), steady, dice, size, count: size.of(6, 10) };
    let table = Table::of(stack).await?;
    let working = async {
        let restless = restless(&orders, (returns, pauses), &reports, &connectors);
        let reporting = try_join_all(connectors.iter().map(|connector| reports.of(connector)));
        let (last, ()) = try_join!(reporting, restless)?;
        published(stack, &cast.database, size).await?;
        quiet.wait().await?;
        let changes = check::changes(&cast.database, &connectors).await?;
        for connector in &connectors {
            let Some(newest) = changes.get(&connector.id).and_then(|changes| changes.last()) else {
                continue;
            };
            reports.heard(connector, newest.updated_at).await?;
        }
        quiet.wait().await?;
        table.holds_only("the sockets that went to be forgotten", |socket| board.is_open(socket)).await?;
        // Without orders to wait for, they go.
        drop(orders);
        Ok(last)
    };
    let (visits, last) = try_join!(try_join_all(listening), working)?;
    let last: HashMap<_, _> = last.into_iter().collect();
    let changes = check::changes(&cast.database, &connectors).await?;
    check::shown(&cast.database, &last).await?;
    let told = check::all_and_only(changes, &visits)?;
    // So many end at once that their ends are not all told of: whoever has news for them finds out.
    reports.once_more(&connectors, &last).await?;
    table.holds_only("all sockets to be forgotten", |_| false).await?;
    quiet.wait().await?;
    for letters in ["LiveFanOutDeadLetters", "VendorDeadLetters"] {
        let dead = queues.queue(stack, letters)?.drain().await?;
        if !dead.is_empty() {
            return Err(format!("{letters}: {}", dead.join(" ")).into());
        }
    }
    Ok(Proof { name: "live-feed", figure: figure(&told, clients, size, (returns, pauses)) })
}

fn figure(told: &Told, clients: usize, size: Size, (returns, pauses): (usize, usize)) -> String {
    let delay = |percent: usize| {
        let delay = told.delays.get(told.delays.len() * percent / 100);
        delay.copied().unwrap_or(TimeDelta::zero()).num_milliseconds()
    };
    format!(
        "{clients} connections on {} stations, {} reconnects, {pauses} resubscriptions: {} changes, {} updates due, all \
         of them delivered, once and in order, and no other ({} more to who was coming or going; {} changes overtaken \
         by newer ones); flat out, p50 {} ms, p99 {} ms; no row left",
        stations_of(size),
        returns,
        told.updates,
        told.due,
        told.in_flight,
        told.overtaken,
        delay(50),
        delay(99),
    )
}

fn stations_of(size: Size) -> usize {
    size.of(8, 100)
}

/// Stations with connectors of a network, some with a charger's as well; of each kind one half waits to be heard.
async fn stations(size: Size, cast: &Cast<'_>) -> Result<(Network, Vec<Connector>)> {
    let network = Network::register(&cast.operator).await?;
    let mut connectors = Vec::new();
    for number in 0..stations_of(size) {
        let station = cast.site(0).await?.station;
        let ids = network.connectors(&cast.operator, station, 1, CONNECTORS).await?;
        connectors.extend(ids.into_iter().enumerate().map(|(index, id)| Connector {
            station,
            id,
            by: Reporter::Network(index + 1),
            is_paced: index % 2 == 0,
        }));
        if number % 4 == 0 {
            let identity = format!("CP-LIVE-{number}");
            let id = charger(cast, station, &identity).await?;
            connectors.push(Connector {
                station,
                id,
                by: Reporter::Charger(identity),
                is_paced: number % 8 == 0,
            });
        }
    }
    Ok((network, connectors))
}

/// Registers a charger, and gives its only connector.
async fn charger(cast: &Cast<'_>, station: Uuid, identity: &str) -> Result<Uuid> {
    let register =
        "mutation($input: RegisterChargerInput!) { registerCharger(input: $input) { connectors { id } } }";
    let input = json!({
        "stationId": station, "chargePointId": identity, "password": CHARGER_PASSWORD,
        "connectors": [{ "number": 1, "type": "CCS (Type 2)", "powerKW": 22.0 }],
    });
    let made: Value = cast.by_operator(register, input).await?;
    Ok(made["connectors"][0]["id"].as_str().ok_or("a charger without connector")?.parse()?)
}

/// Who listens to what; the first `restless` of them come and go.
async fn audience(
    cast: &Cast<'_>,
    clients: usize,
    restless: usize,
    connectors: &[Connector],
    dice: &Dice,
    board: &Arc<Board>,
) -> Result<Vec<Client>> {
    let drivers = (0..clients.div_ceil(SOCKETS_A_DRIVER)).map(|_| cast.driver("Lydia Listener"));
    let drivers: Vec<_> = stream::iter(drivers).buffered(4).try_collect().await?;
    let mut stations: Vec<_> = connectors.iter().map(|connector| connector.station).collect();
    stations.dedup();
    let client = |number: usize| {
        let mut chosen = stations.clone();
        dice.shuffle(&mut chosen);
        chosen.truncate(1 + dice.below(MOST_STATIONS));
        // The places of one driver are spread, so that who comes back meets others who do.
        let token = &drivers[number % drivers.len()].token;
        Client {
            url: format!("{}?token={token}", cast.stack.live_url),
            stations: chosen,
            is_steady: number >= restless,
            board: Arc::clone(board),
        }
    };
    Ok((0..clients).map(client).collect())
}

/// A client at work, and how it gets its orders.
fn listen(listener: Listener) -> (mpsc::Sender<Order>, impl Future<Output = Result<Vec<Visit>>>) {
    let (order, to_do) = mpsc::channel(1);
    (order, listener.run(to_do))
}

/// Has the first clients come and go, one after the other, while the middle half of the reports is heard that are waited
/// for.
async fn restless(
    orders: &[mpsc::Sender<Order>],
    (returns, pauses): (usize, usize),
    reports: &Reports<'_>,
    connectors: &[Connector],
) -> Result<()> {
    let waited_for = connectors.iter().filter(|connector| connector.is_paced).count() * reports.count;
    let all = returns + pauses;
    for (number, client) in orders.iter().take(all).enumerate() {
        let heard = waited_for / 4 + number * waited_for / (2 * all);
        wait::until("enough to be heard", reports.size.patience(), async || {
            Ok((reports.board.heard_out() >= heard).then_some(()))
        })
        .await?;
        let manner = [Manner::Close, Manner::Cut, Manner::Reset][number % 3];
        let order = if number < returns { Order::Return(manner) } else { Order::Pause };
        client.send(order).await.map_err(|_| format!("client {number} is gone"))?;
    }
    Ok(())
}

/// When nothing is on its way any more.
struct Quiet {
    reports: Queue,
    feed: Queue,
    size: Size,
}

impl Quiet {
    async fn wait(&self) -> Result<()> {
        for queue in [&self.reports, &self.feed] {
            wait::until("a queue to be empty", self.size.patience(), async || {
                Ok((queue.depth().await? == 0).then_some(()))
            })
            .await?;
        }
        Ok(())
    }
}

/// Has the system allow as many open files as both ends of so many sockets take: the stack inherits the limit.
fn room_for(sockets: usize) -> Result<()> {
    let needed = 2 * u64::try_from(sockets)? + OTHER_FILES;
    let limits = getrlimit(Resource::Nofile);
    if limits.current.is_none_or(|limit| limit >= needed) {
        return Ok(());
    }
    if let Some(most) = limits.maximum.filter(|most| *most < needed) {
        let message =
            format!("{sockets} connections take {needed} open files, and `ulimit -Hn` is {most}: raise it");
        return Err(message.into());
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits })?)
}
