//! Against a MongoDB server: the one at `MONGODB_URI`, or else the stand-in, with the real POIs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use ::tests::ocm_server::real_pois;
use futures::future::try_join_all;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::*;
use crate::nearby::rank;

type Poi = (StationId, Value, MirroredStation);

/// A server that ends with its test.
struct Server {
    database: Database,
    _process: Option<(Child, TempDir)>,
}

async fn server() -> Server {
    let name = format!("mirror_{}", Uuid::new_v4().simple());
    if let Ok(uri) = std::env::var("MONGODB_URI") {
        return Server { database: connect(&uri, &name).await.unwrap(), _process: None };
    }
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.local/tools/bin/secantusd-rs");
    assert!(program.exists(), "no MongoDB: MONGODB_URI is not set, and there is no {}", program.display());
    let folder = TempDir::new().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let process = Command::new(program)
        .args(["--port", &port.to_string(), "--storage-path"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let database = connect(&format!("mongodb://127.0.0.1:{port}/"), &name).await.unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while database.run_command(doc! { "ping": 1 }).await.is_err() {
        assert!(std::time::Instant::now() < deadline, "the MongoDB stand-in does not start");
    }
    Server { database, _process: Some((process, folder)) }
}

fn mirror(database: &Database) -> Mirror {
    Mirror {
        config: SdkConfig::builder().build(),
        secret_arn: String::new(),
        database: OnceCell::new_with(Some(database.clone())),
        indexed: OnceCell::new(),
        resting_until: AtomicI64::new(0),
    }
}

/// Every third real POI, and all of Austin.
fn pois() -> Vec<Poi> {
    let real = real_pois().unwrap().into_iter().enumerate();
    let chosen = real.filter(|(index, _)| index % 3 == 0 || *index >= 3834).map(|(_, poi)| poi);
    let by_id: BTreeMap<i32, (Value, MirroredStation)> = chosen
        .map(|poi| MirroredStation::from_poi(&poi).map(|station| (station.ocm_id, (poi, station))).unwrap())
        .collect();
    by_id.into_values().map(|(poi, station)| (Uuid::new_v4().into(), poi, station)).collect()
}

fn borrowed(pois: &[Poi]) -> Vec<(StationId, &Value, &MirroredStation)> {
    pois.iter().map(|(id, poi, station)| (*id, poi, station)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_leave_each_poi_once_and_whole() {
    let server = server().await;
    let pois = pois();
    // Each chunk is written by two of four writers at once.
    let writers = (0..4).map(|writer| {
        let (database, pois) = (&server.database, &pois);
        async move {
            let mirror = mirror(database);
            let mut changed = 0;
            for chunk in pois.chunks(250).skip(writer % 2).step_by(2) {
                let written = mirror.replace(&borrowed(chunk)).await?;
                assert_eq!(written.refused, Vec::<i32>::new());
                changed += written.changed;
            }
            Ok::<_, Failure>(changed)
        }
    });
    let changed: u64 = try_join_all(writers).await.unwrap().iter().sum();
    assert!(changed >= pois.len() as u64);
    let collection = server.database.collection::<Document>(COLLECTION);
    assert_eq!(collection.count_documents(doc! {}).await.unwrap(), pois.len() as u64);
    let (id, poi, station) = &pois[100];
    let kept = collection.find_one(doc! { "externalId": station.ocm_id }).await.unwrap().unwrap();
    assert_eq!(kept.get("_id"), Some(&bson::Uuid::from_bytes(id.uuid().into_bytes()).into()));
    assert_eq!(
        kept.get_document("AddressInfo").unwrap().get_str("Title").ok(),
        poi["AddressInfo"]["Title"].as_str()
    );
    assert_eq!(kept.get_array("Connections").unwrap().len(), poi["Connections"].as_array().unwrap().len());

    let again = mirror(&server.database).replace(&borrowed(&pois)).await.unwrap();
    assert_eq!(again, Written::default(), "what is there already is not written again");

    // What the mirror has, under ids that Aurora no longer knows, gives way.
    let renamed: Vec<Poi> = pois[..3]
        .iter()
        .map(|(_, poi, station)| (Uuid::new_v4().into(), poi.clone(), station.clone()))
        .collect();
    let written = mirror(&server.database).replace(&borrowed(&renamed)).await.unwrap();
    assert_eq!(written, Written { changed: 3, refused: Vec::new() });
    let kept = collection.find_one(doc! { "externalId": renamed[0].2.ocm_id }).await.unwrap().unwrap();
    assert_eq!(kept.get("_id"), Some(&bson::Uuid::from_bytes(renamed[0].0.uuid().into_bytes()).into()));
}

#[tokio::test]
async fn a_search_finds_what_brute_force_finds() {
    let server = server().await;
    let mirror = mirror(&server.database);
    let pois = pois();
    for chunk in pois.chunks(500) {
        mirror.replace(&borrowed(chunk)).await.unwrap();
    }
    let type_2 = |power| Filters {
        connector_type: Some("type 2 (socket only)".into()),
        min_power_kw: Some(power),
        ..Filters::default()
    };
    let chargepoint = Filters { operator: Some("chargepoint".into()), ..Filters::default() };
    let operational = Filters { status: Some(StationStatus::Operational), ..Filters::default() };
    let [austin, london, brussels, nowhere] =
        [(30.2672, -97.7431), (51.5074, -0.1278), (50.85, 4.35), (0.0, 0.0)]
            .map(|(north, east)| Point::at(north, east).unwrap());
    let mut found = 0;
    for (center, radius_km, filters) in [
        (austin, 5.0, Filters::default()),
        (austin, 30.0, chargepoint),
        (austin, 100.0, operational),
        (london, 25.0, Filters::default()),
        (london, 100.0, type_2(7.0)),
        (brussels, 100.0, type_2(20.0)),
        (nowhere, 100.0, Filters::default()),
    ] {
        let circle = Circle { center, radius_km };
        let near = rank(&mirror.near(circle, &filters, 2_000).await.unwrap(), circle);
        let all: Vec<Candidate> =
            pois.iter().filter(|(_, _, station)| passes(station, &filters)).filter_map(candidate).collect();
        assert_eq!(near, rank(&all, circle), "{circle:?} {filters:?}");
        let nearest: Vec<_> = rank(&mirror.near(circle, &filters, 5).await.unwrap(), circle);
        assert_eq!(
            nearest.iter().map(|(distance, _)| distance).collect::<Vec<_>>(),
            near.iter().take(5).map(|(distance, _)| distance).collect::<Vec<_>>()
        );
        found += near.len();
    }
    assert!(found > 500, "only {found} found: the searches prove nothing");
}

fn candidate((id, _, station): &Poi) -> Option<Candidate> {
    Some(Candidate { id: *id, place: station.place()? })
}

fn passes(station: &MirroredStation, filters: &Filters) -> bool {
    let status =
        filters.status.map_or(station.status != StationStatus::Removed, |status| station.status == status);
    let lower = |text: &String| text.to_lowercase();
    let operator = filters.operator.is_none() || station.operator.as_ref().map(lower) == filters.operator;
    let plain = filters.connector_type.is_none() && filters.min_power_kw.is_none();
    status
        && operator
        && (plain
            || station.connections.iter().any(|connection| {
                filters.connector_type.as_ref().is_none_or(|kind| lower(&connection.kind) == *kind)
                    && filters
                        .min_power_kw
                        .is_none_or(|least| connection.power_kw.is_some_and(|power| power >= least))
            }))
}
