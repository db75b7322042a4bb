//! Tells the sockets that asked what their stations' connectors have become.

use std::time::Duration;

use aws_config::SdkConfig;
use chrono::TimeDelta;
use futures::{StreamExt, stream};
use shared::{Envelope, Failure, MissingSetting, StationId, Timestamp};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use crate::connect::SETTLING;
use crate::news::version;
use crate::progress::Progress;
use crate::store::{Lease, Sighting, Turn};
use crate::{ConnectorChanged, Greeting, LiveTable, News, SocketId, Sockets, Turns};

/// Nobody waits for older news: a client that missed them has read the station since.
const NEWS: TimeDelta = TimeDelta::hours(1);
/// Posts under way at a time.
const AT_ONCE: usize = 64;
/// So many that could not be told are no accident: the rest is left for later.
const MOST_OWED: usize = 100;
/// A page of sockets is told in that time, which ends well before the turn does.
const PAGE_TIME: Duration = Duration::from_millis(3500);
/// When a new socket that is not there yet is tried.
const GREETING_WAITS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(150), Duration::from_millis(300)];

/// Sends updates to subscribers.
///
/// Of one connector, an update never follows a newer one to any socket, and a repeated one follows nowhere: one update
/// of it is sent at a time, and Redis knows the newest begun and who is still owed it. What comes late is dropped.
/// While Redis is gone for longer than a moment, updates are sent all the same, and then only this process's own
/// memory orders them: across processes they may come twice, or in the order of the queue. `updatedAt` tells a client.
/// A sender that dies is taken over from the page it was at, which some may then hear twice.
pub struct FanOut {
    table: LiveTable,
    sockets: Sockets,
    turns: Turns,
}

impl FanOut {
    /// From the settings of each; connects at first use.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(LiveTable::from_env(config)?, Sockets::from_env(config)?, Turns::from_env()?))
    }

    /// Of its parts.
    pub fn new(table: LiveTable, sockets: Sockets, turns: Turns) -> Self {
        Self { table, sockets, turns }
    }

    /// Delivers one message of the queue. Fails when somebody could not be told, for the queue to try again; those who
    /// were are not told again.
    pub async fn deliver(&self, news: News, now: Timestamp) -> Result<(), Failure> {
        match news {
            News::Connected(greeting) => Box::pin(self.greet(&greeting, now)).await,
            News::Changed(event) => Box::pin(self.tell(&event, now)).await,
        }
    }

    /// Says `connected`, once API Gateway lets it through. A socket that is not there after all is forgotten.
    async fn greet(&self, greeting: &Greeting, now: Timestamp) -> Result<(), Failure> {
        let socket = &greeting.socket_id;
        match self.table.was_greeted(socket, now).await? {
            Some(false) => {}
            Some(true) | None => return Ok(()),
        }
        let frame = crate::frame::Frame::connected(socket, greeting.timestamp).text()?;
        for wait in GREETING_WAITS {
            sleep(wait).await;
            if self.sockets.post(socket, &frame).await? == Sighting::There {
                return self.table.greeted(socket).await;
            }
        }
        if greeting.timestamp + SETTLING > now {
            return Err(Failure::Unavailable("the new socket"));
        }
        info!("a new socket has gone: forgotten");
        self.table.close(socket).await.map(drop)
    }

    async fn tell(&self, event: &Envelope<ConnectorChanged>, now: Timestamp) -> Result<(), Failure> {
        if event.timestamp + NEWS < now {
            info!("no news any more: dropped");
            return Ok(());
        }
        let change = &event.payload;
        let sending = Sending { feed: self, station: change.station_id, frame: change.frame()?, now };
        match self.turns.take(change.connector_id, &version(event)).await? {
            Turn::Mine(lease, progress) => sending.send(Some(lease), progress).await,
            Turn::Unguarded => sending.send(None, Progress::default()).await,
            Turn::Late => {
                info!("late or repeated: dropped");
                Ok(())
            }
        }
    }
}

/// One update on its way.
struct Sending<'a> {
    feed: &'a FanOut,
    station: StationId,
    frame: String,
    now: Timestamp,
}

impl Sending<'_> {
    /// Tells everybody who is left to be told.
    async fn send(&self, lease: Option<Lease>, mut progress: Progress) -> Result<(), Failure> {
        let mut gone = Vec::new();
        let result = self.pages(lease.as_ref(), &mut progress, &mut gone).await;
        let is_known = match &lease {
            Some(lease) => self.feed.turns.end(lease, &progress).await?,
            None => false,
        };
        self.sweep(gone).await;
        result?;
        if progress.is_done() {
            return Ok(());
        }
        if is_known {
            return Err(Failure::Unavailable("some sockets"));
        }
        // Who was told is not known: better that these miss it than that the others hear it twice, out of order.
        warn!(owed = progress.owed.len(), "not everybody was told");
        Ok(())
    }

    async fn pages(
        &self,
        lease: Option<&Lease>,
        progress: &mut Progress,
        gone: &mut Vec<SocketId>,
    ) -> Result<(), Failure> {
        let owed = std::mem::take(&mut progress.owed);
        if !owed.is_empty() {
            progress.owed = self.post(owed, gone).await;
        }
        while !progress.is_last && progress.owed.len() <= MOST_OWED {
            if let Some(lease) = lease
                && progress.after.is_some()
                && !self.feed.turns.keep(lease, progress).await?
            {
                // This took longer than a turn lasts, and another has it now with all that is left.
                return Ok(());
            }
            let page = self.feed.table.subscribers(self.station, progress.after.as_ref(), self.now).await?;
            let owed = self.post(page.sockets, gone).await;
            progress.owed.extend(owed);
            progress.is_last = page.after.is_none();
            progress.after = page.after;
        }
        Ok(())
    }

    /// Posts to each, and gives those that could not be told.
    async fn post(&self, sockets: Vec<SocketId>, gone: &mut Vec<SocketId>) -> Vec<SocketId> {
        let end = Instant::now() + PAGE_TIME;
        let posts = sockets.into_iter().map(async |socket| {
            let posted = timeout_at(end, self.feed.sockets.post(&socket, &self.frame)).await;
            (socket, posted)
        });
        let mut posts = stream::iter(posts).buffer_unordered(AT_ONCE);
        let mut owed = Vec::new();
        while let Some((socket, posted)) = posts.next().await {
            match posted {
                Ok(Ok(Sighting::There)) => {}
                Ok(Ok(Sighting::Gone)) => gone.push(socket),
                Ok(Err(_)) | Err(_) => owed.push(socket),
            }
        }
        owed
    }

    /// Forgets sockets that are gone; those it cannot forget now it meets again.
    async fn sweep(&self, gone: Vec<SocketId>) {
        let table = &self.feed.table;
        let sweeps = gone.iter().map(async |socket| {
            table.close(socket).await?;
            table.forget_subscriber(self.station, socket).await
        });
        let mut sweeps = stream::iter(sweeps).buffer_unordered(AT_ONCE);
        while let Some(swept) = sweeps.next().await {
            if let Err(failure) = swept {
                warn!(cause = failure.causes(), "a socket that has gone is still remembered");
            }
        }
        if !gone.is_empty() {
            info!(count = gone.len(), "forgot sockets that have gone");
        }
    }
}
