//! One client of the feed: its sockets one after the other, what each asked for and when, and all that it was told.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use uuid::Uuid;

use super::board::Board;
use crate::{Result, wait};

/// The longest an answer or a place at the door is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// One socket, from the handshake to its end.
#[derive(Debug, Default)]
pub(super) struct Visit {
    pub(super) stays: Vec<Stay>,
    pub(super) heard: Vec<Heard>,
}

/// A time in which a socket was subscribed to a station, by the client's clock.
#[derive(Debug)]
pub(super) struct Stay {
    pub(super) station: Uuid,
    /// Before it asked.
    pub(super) asked: DateTime<Utc>,
    /// It has the answer.
    pub(super) subscribed: DateTime<Utc>,
    /// Before it gave notice: all that was sent before then was read. None for who stayed to the end.
    pub(super) leaving: Option<DateTime<Utc>>,
    /// It was unsubscribed, or is closed.
    pub(super) gone: Option<DateTime<Utc>>,
}

/// One update, as it came.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) at: DateTime<Utc>,
    pub(super) station: Uuid,
    pub(super) connector: Uuid,
    pub(super) word: String,
    pub(super) updated_at: i64,
}

/// What a client is told to do in the middle.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    /// To end its socket so, and to come back.
    Return(Manner),
    /// To leave one station, and to subscribe to it again.
    Pause,
}

/// How a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// With a closing handshake.
    Close,
    /// The connection ends, and nobody says so on the WebSocket.
    Cut,
    /// The connection is reset.
    Reset,
}

/// Who listens.
#[derive(Clone)]
pub(super) struct Client {
    /// The feed's address with its owner's token.
    pub(super) url: String,
    pub(super) stations: Vec<Uuid>,
    /// Whether it stays on one socket to the end.
    pub(super) is_steady: bool,
    pub(super) board: Arc<Board>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A client on an open socket.
pub(super) struct Listener {
    client: Client,
    socket: Socket,
    /// The feed's name for it.
    name: Option<String>,
    visit: Visit,
}

impl Client {
    /// Dials in, hears `connected`, and subscribes to its stations.
    pub(super) async fn connect(&self) -> Result<Listener> {
        let socket = self.dial().await?;
        let mut listener = Listener { client: self.clone(), socket, name: None, visit: Visit::default() };
        for station in &self.stations {
            listener.subscribe(*station).await?;
        }
        while listener.name.is_none() {
            listener.next().await?;
        }
        Ok(listener)
    }

    /// A socket, as soon as there is a place: the one before may not be known to be gone yet.
    async fn dial(&self) -> Result<Socket> {
        wait::until("a place in the feed", PATIENCE, async || {
            match tokio_tungstenite::connect_async(&self.url).await {
                Ok((socket, _)) => Ok(Some(socket)),
                Err(tungstenite::Error::Http(refusal))
                    if refusal.status() == 429 || refusal.status().is_server_error() =>
                {
                    Ok(None)
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

impl Listener {
    /// Listens until nobody has orders any more, and gives all it was told, a visit a socket.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Result<Vec<Visit>> {
        let mut visits = Vec::new();
        loop {
            let order = tokio::select! {
                message = self.socket.next() => {
                    self.take(message)?;
                    continue;
                }
                order = orders.recv() => order,
            };
            match order {
                Some(Order::Return(manner)) => {
                    let client = self.client.clone();
                    let leaving = Utc::now();
                    let mut visit = self.end(manner).await?;
                    for stay in visit.stays.iter_mut().filter(|stay| stay.gone.is_none()) {
                        (stay.leaving, stay.gone) = (Some(leaving), Some(Utc::now()));
                    }
                    visits.push(visit);
                    self = client.connect().await?;
                }
                Some(Order::Pause) => self.pause().await?,
                None => {
                    visits.push(self.end(Manner::Close).await?);
                    return Ok(visits);
                }
            }
        }
    }

    async fn subscribe(&mut self, station: Uuid) -> Result<()> {
        let asked = Utc::now();
        self.ask("subscribe_station", "subscribed", station).await?;
        self.visit.stays.push(Stay { station, asked, subscribed: Utc::now(), leaving: None, gone: None });
        Ok(())
    }

    async fn pause(&mut self) -> Result<()> {
        let station = self.first_station()?;
        let leaving = Utc::now();
        self.ask("unsubscribe_station", "unsubscribed", station).await?;
        let gone = Utc::now();
        for stay in self.visit.stays.iter_mut().filter(|stay| stay.station == station && stay.gone.is_none())
        {
            (stay.leaving, stay.gone) = (Some(leaving), Some(gone));
        }
        self.subscribe(station).await
    }

    /// Reads what was sent to it before now, and ends the socket.
    async fn end(mut self, manner: Manner) -> Result<Visit> {
        let board = Arc::clone(&self.client.board);
        let _turn = board.turn().await?;
        // What it asks again is answered behind all that.
        let station = self.first_station()?;
        self.ask("subscribe_station", "subscribed", station).await?;
        if let Some(name) = &self.name {
            self.client.board.closed(name);
        }
        match (manner, self.socket.get_ref()) {
            (Manner::Close, _) => {
                self.socket.close(None).await?;
                timeout(PATIENCE, self.hear_out()).await.map_err(|_| "the socket does not close")??;
            }
            (Manner::Reset, MaybeTlsStream::Plain(stream)) => stream.set_zero_linger()?,
            _ => {}
        }
        Ok(self.visit)
    }

    async fn hear_out(&mut self) -> Result<()> {
        while let Some(Ok(message)) = self.socket.next().await {
            if let Message::Text(text) = message {
                self.note(&serde_json::from_str(&text)?)?;
            }
        }
        Ok(())
    }

    fn first_station(&self) -> Result<Uuid> {
        Ok(self.client.stations.first().copied().ok_or("a client of no station")?)
    }

    /// Says a wish and reads until it is granted; it is said again when there is no room for it.
    async fn ask(&mut self, wish: &str, granted: &str, station: Uuid) -> Result<()> {
        let wish = json!({ "event": wish, "data": { "stationId": station } }).to_string();
        for _ in 0..20 {
            self.socket.send(Message::text(wish.clone())).await?;
            loop {
                let frame = self.next().await?;
                if frame["event"] == granted && frame["data"]["stationId"] == json!(station) {
                    return Ok(());
                }
                if frame["event"] == "connected" || frame["event"] == "station_update" {
                    continue;
                }
                let is_busy = frame["data"]["code"] == "UNAVAILABLE" || frame["event"].is_null();
                if is_busy {
                    break;
                }
                return Err(format!("asked {wish}, answered {frame}").into());
            }
        }
        Err(format!("{wish} is never granted").into())
    }

    /// The next frame, noted.
    async fn next(&mut self) -> Result<Value> {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await;
            let message = message.map_err(|_| format!("no frame within {PATIENCE:?}"))?;
            if let Some(frame) = self.take(message)? {
                return Ok(frame);
            }
        }
    }

    fn take(&mut self, message: Option<tungstenite::Result<Message>>) -> Result<Option<Value>> {
        match message.ok_or("the feed hung up")?? {
            Message::Text(text) => {
                let frame: Value = serde_json::from_str(&text)?;
                match frame["event"].as_str() {
                    Some("connected") => {
                        let name =
                            frame["data"]["socketId"].as_str().ok_or("a socket without name")?.to_owned();
                        self.client.board.opened(&name);
                        if let Some(first) = self.name.replace(name) {
                            return Err(format!("{first} was greeted twice").into());
                        }
                    }
                    _ => self.note(&frame)?,
                }
                Ok(Some(frame))
            }
            Message::Close(frame) => Err(format!("the feed hung up: {frame:?}").into()),
            _ => Ok(None),
        }
    }

    /// Notes an update; other frames are none of its business.
    fn note(&mut self, frame: &Value) -> Result<()> {
        if frame["event"] != "station_update" {
            return Ok(());
        }
        let heard = read(frame).ok_or_else(|| format!("no update that anybody knows: {frame}"))?;
        if self.client.is_steady {
            self.client.board.heard(heard.connector, heard.updated_at);
        }
        self.visit.heard.push(heard);
        Ok(())
    }
}

fn read(frame: &Value) -> Option<Heard> {
    let told = &frame["data"];
    if told["type"] != "connector_status_update" {
        return None;
    }
    Some(Heard {
        at: Utc::now(),
        station: told["stationId"].as_str()?.parse().ok()?,
        connector: told["data"]["connectorId"].as_str()?.parse().ok()?,
        word: told["data"]["status"].as_str()?.to_owned(),
        updated_at: told["data"]["updatedAt"].as_i64()?,
    })
}
