//! What becomes of a statement when the Data API, or the database behind it, does not take it at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::config::{BehaviorVersion, Config, Credentials, Region};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use scratch::{CLUSTER, DataApi, Postgres, SECRET, until};
use serde_json::json;
use shared::{Database, DatabaseError, Failure, Statement, within};
use tokio::net::TcpListener;

const AMPLE: Duration = Duration::from_secs(30);

fn database(url: &str) -> Database {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("a", "b", None, None, "test"))
        .endpoint_url(url)
        .build();
    Database::new(Client::from_conf(config), CLUSTER, SECRET, "postgres")
}

/// A Data API that answers so the first times it is asked, and with the row `7` then.
struct Door {
    url: String,
    calls: Arc<AtomicUsize>,
}

type Answer = (u16, &'static str, &'static str);

const THROTTLED: Answer = (400, "ThrottlingException", "Rate exceeded");
const RESUMING: Answer = (400, "DatabaseResumingException", "The Aurora DB instance is resuming.");
const BROKEN: Answer = (500, "InternalServerErrorException", "An internal error occurred.");
const NO_WRITER: Answer = (504, "DatabaseUnavailableException", "The writer instance isn't available.");
const TOO_LONG: Answer = (400, "StatementTimeoutException", "Request timed out");
const BAD: Answer = (400, "BadRequestException", "Parameter :x is missing");
const BAD_SQL: Answer =
    (400, "BadRequestException", "ERROR: syntax error at or near \"SELEC\"; SQLState: 42601");
const DEADLOCK: Answer = (400, "DatabaseErrorException", "ERROR: deadlock detected; SQLState: 40P01");
const DUPLICATE: Answer = (
    400,
    "DatabaseErrorException",
    "ERROR: duplicate key value violates unique constraint \"users_email_key\"; SQLState: 23505",
);

impl Door {
    async fn open(first: Answer, times: usize) -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = async move |State(calls): State<Arc<AtomicUsize>>| -> Response {
            let (status, name, message) = first;
            if calls.fetch_add(1, Ordering::SeqCst) >= times {
                return Json(json!({ "records": [[{ "stringValue": "7" }]] })).into_response();
            }
            let body = Json(json!({ "message": message }));
            (StatusCode::from_u16(status).unwrap(), [("x-amzn-errortype", name)], body).into_response()
        };
        let router = Router::new().fallback(answer).with_state(Arc::clone(&calls));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, calls }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn ask(&self, statement: Statement) -> Result<Option<i64>, DatabaseError> {
        within(AMPLE, database(&self.url).row(statement)).await
    }
}

fn write() -> Statement {
    Statement::new("SELECT some_write()")
}

fn read() -> Statement {
    Statement::read("SELECT to_jsonb(7)")
}

#[tokio::test]
async fn a_throttled_or_undone_statement_is_tried_until_it_is_taken() {
    for passing in [THROTTLED, DEADLOCK] {
        for statement in [write(), read()] {
            let door = Door::open(passing, 4).await;
            assert_eq!(door.ask(statement).await.unwrap(), Some(7));
            assert_eq!(door.calls(), 5, "{passing:?}");
        }
    }
    // A cluster that wakes up needs a second, not a hundred tries.
    let door = Door::open(RESUMING, 1).await;
    let begun = Instant::now();
    assert_eq!(door.ask(write()).await.unwrap(), Some(7));
    assert_eq!(door.calls(), 2);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn what_stays_throttled_is_unavailable_before_the_time_is_over_with_a_hint_when_to_come_back() {
    let door = Door::open(THROTTLED, usize::MAX).await;
    let database = database(&door.url);
    let begun = Instant::now();
    let refused = within(Duration::from_secs(3), database.row::<i64>(write())).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(3), "the caller hears of it: {:?}", begun.elapsed());
    assert!((4..=40).contains(&door.calls()), "{} tries", door.calls());
    assert!(refused.to_string().contains("Rate exceeded"), "{refused}");
    let failure = Failure::from(refused);
    assert!(failure.retryable());
    assert_eq!(failure.retry_after_seconds(), Some(2));
    let told = serde_json::to_value(failure.to_resolver_error(shared::CorrelationId::new())).unwrap();
    assert_eq!((&told["errorType"], &told["errorInfo"]["retryAfter"]), (&json!("Unavailable"), &json!(2)));
}

#[tokio::test]
async fn what_may_have_been_done_is_done_again_only_where_that_is_safe() {
    for unknown in [BROKEN, NO_WRITER] {
        let door = Door::open(unknown, 2).await;
        assert!(matches!(door.ask(write()).await, Err(DatabaseError::Unavailable(_))));
        assert_eq!(door.calls(), 1, "{unknown:?}");

        let door = Door::open(unknown, 2).await;
        assert_eq!(door.ask(read()).await.unwrap(), Some(7));
        assert_eq!(door.calls(), 3, "{unknown:?}");
    }
}

#[tokio::test]
async fn what_would_fail_again_is_not_tried_again() {
    for hopeless in [BAD, BAD_SQL, DUPLICATE, TOO_LONG] {
        let door = Door::open(hopeless, usize::MAX).await;
        let refused = door.ask(read()).await.unwrap_err();
        assert_eq!(door.calls(), 1, "{hopeless:?}");
        match hopeless {
            BAD => assert!(matches!(refused, DatabaseError::Refused(_)), "{refused:?}"),
            TOO_LONG => {
                assert!(matches!(refused, DatabaseError::TimedOut(_)), "{refused:?}");
                assert!(matches!(Failure::from(refused), Failure::Unavailable("the database")));
            }
            _ => assert!(matches!(refused, DatabaseError::Rejected { .. }), "{refused:?}"),
        }
    }
}

#[tokio::test]
async fn a_door_that_nobody_answers_is_knocked_at_and_one_that_breaks_off_is_not() {
    // Nobody listens: nothing was sent, so even a write may be tried until somebody does.
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let asking = tokio::spawn(async move {
        let database = database(&format!("http://{address}"));
        within(AMPLE, database.row::<i64>(write())).await
    });
    // Long enough for the first to find nobody; were it not, nothing would fail.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = async || Json(json!({ "records": [[{ "stringValue": "7" }]] }));
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    assert_eq!(asking.await.unwrap().unwrap(), Some(7));

    // It took the request and hung up: who knows what it did with it.
    let (address, taken) = hanging_up().await;
    let database = database(&format!("http://{address}"));
    let lost = within(AMPLE, database.row::<i64>(write())).await;
    assert!(matches!(lost, Err(DatabaseError::Unavailable(_))), "{lost:?}");
    assert_eq!(taken.load(Ordering::SeqCst), 1);
    let lost = within(Duration::from_secs(2), database.row::<i64>(read())).await;
    assert!(matches!(lost, Err(DatabaseError::Unavailable(_))), "{lost:?}");
    assert!(taken.load(Ordering::SeqCst) > 3);
}

/// Reads what it is sent, and says nothing.
async fn hanging_up() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, taken) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            stream.readable().await.unwrap();
            let _ = stream.try_read(&mut [0; 64 * 1024]);
        }
    });
    (address, taken)
}

#[tokio::test]
async fn a_door_that_never_answers_costs_no_more_than_the_time_there_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let database = database(&format!("http://{}", listener.local_addr().unwrap()));
    let begun = Instant::now();
    let silent = within(Duration::from_secs(2), database.row::<i64>(read())).await;
    assert!(matches!(silent, Err(DatabaseError::Unavailable(_))), "{silent:?}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_real_database_that_rolls_back_or_goes_away_is_asked_again() {
    let schema = "
        CREATE SEQUENCE tries;
        CREATE FUNCTION third_time_lucky() RETURNS jsonb LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('tries') < 3 THEN
                RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
            END IF;
            RETURN to_jsonb(7);
        END;
        $$;";
    let postgres = Postgres::with_schema([schema], env!("CARGO_TARGET_TMPDIR")).await;
    let door = DataApi::open(&postgres).await;
    let database = database(&door.url);
    let lucky = within(AMPLE, database.row::<i64>(Statement::new("SELECT third_time_lucky()"))).await;
    assert_eq!(lucky.unwrap(), Some(7));
    let tries: Option<i64> = database.row(Statement::new("SELECT to_jsonb(nextval('tries'))")).await.unwrap();
    assert_eq!(tries, Some(4));

    postgres.down();
    let lost = within(AMPLE, database.row::<i64>(Statement::new("SELECT third_time_lucky()"))).await;
    assert!(matches!(lost, Err(DatabaseError::Unavailable(_))), "{lost:?}");
    let back = tokio::task::spawn_blocking(move || {
        postgres.up();
        postgres
    });
    // One read is enough, unless the server takes longer to start than anybody waits.
    let seven = until("PostgreSQL", async || within(AMPLE, database.row::<i64>(read())).await.ok()).await;
    assert_eq!(seven, Some(7));
    back.await.unwrap();
}
