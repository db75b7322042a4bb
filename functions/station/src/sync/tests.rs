//! Runs against the OpenChargeMap stand-in with the real POIs, its faults included; stores in memory.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use ::tests::ocm_server::{Behaviour, Catalogue, Fault, OcmServer};
use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::StationId;
use uuid::Uuid;

use super::*;
use crate::model::StationStatus;
use crate::ocm::backoff::Backoff;
use crate::ocm::client::Access;
use crate::ocm::mapping::MirroredStation;
use crate::store::aurora::{Progress, Upserted};
use crate::store::mirror::Written;

const AUSTIN: i64 = 684;
const REAL: i64 = 3834 + AUSTIN - 5;

#[derive(Default)]
struct Memory {
    modified_since: Option<Timestamp>,
    run: Option<Run>,
    stations: BTreeMap<i32, (StationId, MirroredStation)>,
    documents: HashMap<i32, (StationId, Value)>,
    finished: Vec<Tally>,
    forgotten: usize,
    /// The write after this many fails once.
    breaks_after: Option<usize>,
}

struct InMemory(RefCell<Memory>);

impl Destination for InMemory {
    async fn progress(&self) -> Result<Progress, Failure> {
        let memory = self.0.borrow();
        Ok(Progress { modified_since: memory.modified_since, run: memory.run.clone() })
    }

    async fn begin(&self, run: &Run) -> Result<(), Failure> {
        self.0.borrow_mut().run = Some(run.clone());
        Ok(())
    }

    async fn advance(&self, run: &Run, position: &Position, page: Tally) -> Result<(), Failure> {
        let mut memory = self.0.borrow_mut();
        let kept = memory.run.as_mut().filter(|kept| kept.id == run.id && kept.tally == run.tally);
        let kept = kept.ok_or_else(|| Failure::conflict("SYNC_OVERTAKEN", ""))?;
        kept.position = position.clone();
        kept.tally = kept.tally.plus(page);
        Ok(())
    }

    async fn finish(&self, run: &Run, since: Option<Timestamp>, _at: Timestamp) -> Result<(), Failure> {
        let mut memory = self.0.borrow_mut();
        memory.modified_since = memory.modified_since.max(since);
        memory.finished.push(run.tally);
        memory.run = None;
        Ok(())
    }

    async fn upsert(&self, stations: &[&MirroredStation], _at: Timestamp) -> Result<Vec<Upserted>, Failure> {
        let mut memory = self.0.borrow_mut();
        let upsert = |station: &&MirroredStation| {
            let known = memory.stations.get(&station.ocm_id);
            let id = known.map_or_else(|| Uuid::new_v4().into(), |(id, _)| *id);
            let changed = known.is_none_or(|(_, known)| known != *station);
            memory.stations.insert(station.ocm_id, (id, (*station).clone()));
            Upserted { id, ocm_id: station.ocm_id, changed }
        };
        Ok(stations.iter().map(upsert).collect())
    }

    async fn replace(&self, pois: &[(StationId, &Value, &MirroredStation)]) -> Result<Written, Failure> {
        let mut memory = self.0.borrow_mut();
        if let Some(left) = memory.breaks_after.take() {
            if left == 0 {
                return Err(Failure::Unavailable("the station mirror"));
            }
            memory.breaks_after = Some(left - 1);
        }
        let mut changed = 0;
        for (id, poi, station) in pois {
            let document = (*id, (*poi).clone());
            let before = memory.documents.insert(station.ocm_id, document.clone());
            changed += u64::from(before != Some(document));
        }
        Ok(Written { changed, refused: Vec::new() })
    }

    async fn forget(&self, stations: &[StationId]) {
        self.0.borrow_mut().forgotten += stations.len();
    }
}

struct Scene {
    server: OcmServer,
    upstream: OpenChargeMap,
    stores: InMemory,
}

async fn scene(behaviour: Behaviour) -> Scene {
    scene_of(Catalogue::austin().unwrap(), behaviour).await
}

async fn scene_of(catalogue: Catalogue, behaviour: Behaviour) -> Scene {
    let key = Uuid::new_v4();
    let server = OcmServer::start(catalogue, Behaviour { key: Some(key), ..behaviour }, 0).await.unwrap();
    let access = Access { url: server.url(), key: key.to_string() };
    let backoff = Backoff { base: Duration::from_millis(1), ..Backoff::default() };
    let upstream = OpenChargeMap::new(access, backoff).unwrap();
    Scene { server, upstream, stores: InMemory(RefCell::default()) }
}

impl Scene {
    async fn run(&self, request: Value) -> Result<Report, Failure> {
        let at = chrono::Utc::now();
        let invocation = Invocation { at, deadline: at + TimeDelta::minutes(5) };
        advance(&self.stores, &self.upstream, invocation, &serde_json::from_value(request).unwrap()).await
    }

    fn memory<T>(&self, of: impl FnOnce(&Memory) -> T) -> T {
        of(&self.stores.0.borrow())
    }
}

#[tokio::test]
async fn a_first_run_mirrors_every_poi_once() {
    let scene = scene_of(Catalogue::real().unwrap(), Behaviour::default()).await;
    let report = scene.run(json!({})).await.unwrap();
    assert_eq!((report.finished, report.processed, report.updated, report.failed), (true, REAL, REAL, 0));
    assert_eq!(scene.memory(|memory| memory.documents.len() as i64), REAL);
    assert_eq!(scene.memory(|memory| memory.finished.clone()).len(), 1);
    let removed = scene.memory(|memory| {
        let statuses = memory.stations.values().map(|(_, station)| station.status);
        statuses.filter(|status| *status == StationStatus::Removed).count()
    });
    assert_eq!(removed, 239);
}

#[tokio::test]
async fn a_moment_larger_than_a_page_is_got_over() {
    let scene = scene(Behaviour::default()).await;
    for id in 900_000..900_000 + 1_300 {
        let poi = json!({ "ID": id, "DateLastStatusUpdate": "2015-05-05T05:05:00Z", "DateCreated": "2015-05-05T05:05:00Z",
            "AddressInfo": { "Title": "Alike", "Latitude": 1.5, "Longitude": 2.5 }, "Connections": [] });
        assert!(scene.server.put(poi));
    }
    let report = scene.run(json!({})).await.unwrap();
    assert_eq!((report.finished, report.processed), (true, AUSTIN + 1_300));
}

#[tokio::test]
async fn an_increment_takes_what_changed_and_changes_nothing_else() {
    let scene = scene(Behaviour::default()).await;
    scene.run(json!({})).await.unwrap();
    let unchanged = scene.run(json!({})).await.unwrap();
    assert!(unchanged.finished && unchanged.processed < AUSTIN, "{unchanged:?}");
    assert_eq!((unchanged.updated, unchanged.failed), (0, 0));

    let (id, mut poi) = scene.memory(|memory| {
        let (id, (_, station)) = memory.stations.iter().next().unwrap();
        assert_ne!(station.status, StationStatus::Removed);
        (*id, memory.documents[id].1.clone())
    });
    poi["SubmissionStatusTypeID"] = json!(1000);
    poi["SubmissionStatus"] = json!({ "ID": 1000, "Title": "Delisted", "IsLive": false });
    poi["DateLastStatusUpdate"] = json!(chrono::Utc::now().to_rfc3339());
    assert!(scene.server.put(poi));
    let forgotten = scene.memory(|memory| memory.forgotten);
    let report = scene.run(json!({})).await.unwrap();
    assert_eq!(report.updated, 1);
    assert_eq!(scene.memory(|memory| memory.stations[&id].1.status), StationStatus::Removed);
    assert_eq!(scene.memory(|memory| memory.forgotten) - forgotten, 1);
}

#[tokio::test]
async fn a_run_cut_off_continues_where_it_was() {
    let scene = scene(Behaviour::default()).await;
    assert!(!scene.run(json!({ "maxPages": 1 })).await.unwrap().finished);
    scene.stores.0.borrow_mut().breaks_after = Some(0);
    let broken = scene.run(json!({})).await.unwrap_err();
    assert!(broken.retryable());
    let report = scene.run(json!({ "resumeOnly": true })).await.unwrap();
    assert_eq!((report.finished, report.processed, report.updated), (true, AUSTIN, AUSTIN));
    let requests = scene.server.requests();
    let first = |request: &&String| !request.contains("modifiedsince");
    assert_eq!(requests.iter().filter(first).count(), 1, "only the first page begins at the beginning");
    assert!(scene.run(json!({ "resumeOnly": true })).await.unwrap().pages == 0);
}

#[tokio::test]
async fn throttling_outages_and_broken_answers_are_waited_out() {
    let scene = scene(Behaviour { fail_every: Some(3), ..Behaviour::default() }).await;
    scene.server.inject([
        Fault::Status { status: 429, retry_after: Some(0) },
        Fault::Truncated,
        Fault::Status { status: 503, retry_after: None },
        Fault::Slow { milliseconds: 5 },
    ]);
    let report = scene.run(json!({})).await.unwrap();
    assert_eq!((report.finished, report.processed, report.failed), (true, AUSTIN, 0));
}

#[tokio::test]
async fn an_upstream_that_stays_down_stops_the_run_and_loses_nothing() {
    let scene = scene(Behaviour::default()).await;
    scene.run(json!({ "maxPages": 1 })).await.unwrap();
    scene.server.inject([Fault::Status { status: 502, retry_after: None }; 6]);
    assert!(matches!(scene.run(json!({})).await, Err(Failure::Unavailable(_))));
    assert_eq!(scene.run(json!({})).await.unwrap().processed, AUSTIN);
}

#[tokio::test]
async fn a_pause_longer_than_the_invocation_is_left_to_the_next_one() {
    let scene = scene(Behaviour::default()).await;
    scene.server.inject([Fault::Status { status: 429, retry_after: Some(3600) }]);
    let report = scene.run(json!({})).await.unwrap();
    assert_eq!((report.finished, report.pages), (false, 0));
    assert!(scene.run(json!({})).await.unwrap().finished);
}

#[tokio::test]
async fn a_refused_key_is_a_fault_at_once() {
    let mut scene = scene(Behaviour::default()).await;
    let access = Access { url: scene.server.url(), key: Uuid::new_v4().to_string() };
    scene.upstream = OpenChargeMap::new(access, Backoff::default()).unwrap();
    let failure = scene.run(json!({})).await.unwrap_err();
    assert_eq!(failure.causes(), "internal error: OpenChargeMap refuses: HTTP 403 Forbidden");
}

#[tokio::test]
async fn a_broken_poi_costs_itself_alone() {
    let scene = scene(Behaviour::default()).await;
    let date = "2016-06-06T06:06:06Z";
    let no_place = json!({ "ID": 900_001, "DateLastStatusUpdate": date, "AddressInfo": { "Title": "Lost" } });
    let future = json!({ "ID": 900_002, "DateLastStatusUpdate": "2150-01-01T00:00:00Z",
        "AddressInfo": { "Title": "Tomorrow", "Latitude": 1.5, "Longitude": 2.5 } });
    let undated = json!({ "ID": 900_003, "DateLastStatusUpdate": "once",
        "AddressInfo": { "Title": "Once", "Latitude": 1.5, "Longitude": 2.5 } });
    assert!([no_place, future, undated].into_iter().all(|poi| scene.server.put(poi)));
    let report = scene.run(json!({})).await.unwrap();
    assert_eq!((report.processed, report.updated, report.failed), (AUSTIN + 3, AUSTIN + 2, 1));
    let since = scene.memory(|memory| memory.modified_since).unwrap();
    assert!(since <= chrono::Utc::now(), "a date in the future does not hide what comes before it");
}

#[tokio::test]
async fn a_full_run_begins_at_the_beginning() {
    let scene = scene(Behaviour::default()).await;
    scene.run(json!({})).await.unwrap();
    scene.run(json!({ "maxPages": 1 })).await.unwrap();
    let report = scene.run(json!({ "full": true })).await.unwrap();
    assert_eq!((report.processed, report.updated), (AUSTIN, 0));
}
