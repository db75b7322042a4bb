//! `local up` as a person at a terminal has it: real stores, a real template, signals.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

struct Up {
    child: Child,
    data: PathBuf,
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn command(data: &Path, base: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command
        .current_dir(here().join("tests/fixture"))
        .args(["up", "--no-fsync", "--quiet", "--tools"])
        .arg(here().join("../../.local"))
        .arg("--data")
        .arg(data)
        .args(["--port-base", &base.to_string()])
        .env_remove("MONGODB_URI")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The first of sixteen ports that are free now, below those that outgoing connections take. A slot for each test.
fn free_base(slot: u16) -> u16 {
    let start = 10_000 + slot * 5_000 + u16::try_from(std::process::id() % 250).unwrap() * 16;
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (start..).step_by(16).find(|base| (*base..base + 16).all(is_free)).unwrap()
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Up {
    fn start(data: &Path, base: u16) -> Self {
        Self { child: command(data, base).spawn().unwrap(), data: data.to_owned() }
    }

    fn file(&mut self) -> Value {
        let path = self.data.join("stack.json");
        let child = &mut self.child;
        wait_for("stack.json", || {
            if let Some(status) = child.try_wait().unwrap() {
                let mut words = String::new();
                std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut words).unwrap();
                panic!("ended with {status}: {words}");
            }
            let file: Value = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
            (file["pid"] == child.id()).then_some(file)
        })
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), signal).unwrap();
    }

    fn end(self) -> Output {
        self.child.wait_with_output().unwrap()
    }
}

fn store_pids(file: &Value) -> Vec<i64> {
    file["stores"].as_object().unwrap().values().filter_map(|store| store["pid"].as_i64()).collect()
}

fn is_alive(pid: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn sdk(file: &Value) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "local", "local", None, None, "test",
        )))
        .endpoint_url(file["addresses"]["aws"].as_str().unwrap())
        .build()
}

#[test]
fn a_stack_comes_up_holds_what_the_template_says_and_goes_down_clean() {
    let data = tempfile::tempdir().unwrap();
    let base = free_base(0);
    let mut up = Up::start(data.path(), base);
    let file = up.file();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = sdk(&file);
        let sqs = aws_sdk_sqs::Client::new(&config);
        let queue = file["resources"]["Queue"].as_str().unwrap();
        let attributes =
            sqs.get_queue_attributes().queue_url(queue).attribute_names("All".into()).send().await.unwrap();
        let attributes = attributes.attributes().unwrap();
        assert_eq!(attributes[&"VisibilityTimeout".into()], "1");
        assert!(attributes[&"RedrivePolicy".into()].contains("maxReceiveCount"));

        let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder()
            .event_bus_name("ev")
            .source("test")
            .detail_type("SESSION_ENDED")
            .detail("{}");
        let events = aws_sdk_eventbridge::Client::new(&config);
        events.put_events().entries(entry.build()).send().await.unwrap();
        let received = sqs.receive_message().queue_url(queue).wait_time_seconds(5).send().await.unwrap();
        assert!(received.messages()[0].body().unwrap().contains("SESSION_ENDED"));

        let topics = aws_sdk_sns::Client::new(&config);
        let topic = file["resources"]["Alarms"].as_str().unwrap();
        topics.publish().topic_arn(topic).message("alarm").send().await.unwrap();
        let heard = file["resources"]["Heard"].as_str().unwrap();
        let received = sqs.receive_message().queue_url(heard).wait_time_seconds(5).send().await.unwrap();
        assert!(received.messages()[0].body().unwrap().contains("alarm"));

        let tables = aws_sdk_dynamodb::Client::new(&config);
        let table = file["resources"]["Calls"].as_str().unwrap();
        let described = tables.describe_table().table_name(table).send().await.unwrap();
        assert_eq!(described.table().unwrap().global_secondary_indexes().len(), 1);
        let ttl = tables.describe_time_to_live().table_name(table).send().await.unwrap();
        assert_eq!(ttl.time_to_live_description().unwrap().attribute_name(), Some("expiresAt"));

        let secrets = aws_sdk_secretsmanager::Client::new(&config);
        let arn = file["outputs"]["Signing"].as_str().unwrap();
        let secret = secrets.get_secret_value().secret_id(arn).send().await.unwrap();
        assert!(secret.secret_string().unwrap().contains("PRIVATE KEY"));

        let lambda = file["addresses"]["lambda"].as_str().unwrap();
        let function = file["resources"]["Broken"].as_str().unwrap();
        let event = reqwest::Client::new()
            .post(format!("{lambda}/2015-03-31/functions/{function}/invocations"))
            .header("x-amz-invocation-type", "Event")
            .body("{\"given\": \"up\"}");
        assert_eq!(event.send().await.unwrap().status(), 202);
        let dead = file["resources"]["Dead"].as_str().unwrap();
        let received = sqs.receive_message().queue_url(dead).wait_time_seconds(10).send().await.unwrap();
        assert_eq!(received.messages()[0].body(), Some("{\"given\": \"up\"}"));
    });

    let pids = store_pids(&file);
    assert_eq!(pids.len(), 4);
    up.signal(Signal::INT);
    let data_path = up.data.clone();
    let output = up.end();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("/graphql"));
    assert!(!data_path.join("stack.json").exists());
    assert!(!pids.into_iter().any(is_alive));
    for port in base..base + 10 {
        TcpListener::bind(("127.0.0.1", port)).unwrap();
    }
}

#[test]
fn a_stack_that_was_killed_leaves_nothing_in_the_way_of_the_next() {
    let data = tempfile::tempdir().unwrap();
    let base = free_base(1);
    let mut first = Up::start(data.path(), base);
    let orphans = store_pids(&first.file());

    let held = command(data.path(), base).output().unwrap();
    assert!(!held.status.success());
    let words = String::from_utf8_lossy(&held.stderr).into_owned();
    assert!(words.contains("another stack") && words.contains(&first.child.id().to_string()), "{words}");

    first.signal(Signal::KILL);
    first.end();
    let mut second = Up::start(data.path(), base);
    second.file();
    assert!(!orphans.into_iter().any(is_alive));
    second.signal(Signal::TERM);
    assert!(second.end().status.success());
}

#[test]
fn a_store_that_dies_stops_the_stack_and_is_named() {
    let data = tempfile::tempdir().unwrap();
    let mut up = Up::start(data.path(), free_base(2));
    let file = up.file();
    let redis = i32::try_from(file["stores"]["redis"]["pid"].as_i64().unwrap()).unwrap();
    kill_process(Pid::from_raw(redis).unwrap(), Signal::KILL).unwrap();
    let output = up.end();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("redis"));
    assert!(!store_pids(&file).into_iter().any(is_alive));
}

#[test]
fn a_taken_port_and_a_template_mistake_start_nothing() {
    let data = tempfile::tempdir().unwrap();
    let base = free_base(3);
    let holder = TcpListener::bind(("127.0.0.1", base + 8)).unwrap();
    let output = command(data.path(), base).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(words.contains("Redis") && words.contains(&(base + 8).to_string()), "{words}");
    drop(holder);

    let template = data.path().join("template.yaml");
    std::fs::write(&template, "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {Delay: 1}}}").unwrap();
    let output = command(data.path(), base).arg("--template").arg(&template).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    // The foundation's parameters are not declared in it, which is found first.
    assert!(!output.status.success() && words.contains("Parameters."), "{words}");
    assert!(!data.path().join("postgres").exists());
}

#[test]
fn help_names_the_ports_and_the_options() {
    let output = Command::new(env!("CARGO_BIN_EXE_local")).args(["up", "--help"]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["4566", "--port-base", "LOCAL_BIN_DIR", "--invoke-endpoint"] {
        assert!(words.contains(part), "{part}");
    }
}
