//! `local up` as a person at a terminal has it: real stores, a real template, signals.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::{Up, command, free_base, here, is_alive, sdk, store_pids};

/// The tools of this machine, and a payment provider that keeps what it is told of our webhook.
fn tools_with_a_payment_provider(folder: &Path) -> (PathBuf, PathBuf) {
    const PROVIDER: &str = "\
import argparse, http.server, json
parser = argparse.ArgumentParser()
for name in 'port', 'folder', 'webhook-url', 'webhook-secret':
    parser.add_argument('--' + name, required=True)
told = parser.parse_args()
json.dump(vars(told), open(told.folder + '.json', 'w'))
http.server.HTTPServer(('127.0.0.1', int(told.port)), http.server.BaseHTTPRequestHandler).serve_forever()
";
    let (real, tools) = (here().join("../../.local"), folder.join("tools"));
    std::fs::create_dir_all(tools.join("venv/bin")).unwrap();
    for program in ["ministack", "python"] {
        symlink(real.join("venv/bin").join(program), tools.join("venv/bin").join(program)).unwrap();
    }
    symlink(real.join("tools"), tools.join("tools")).unwrap();
    std::fs::write(tools.join("venv/bin/localstripe"), "").unwrap();
    let launcher = folder.join("provider.py");
    std::fs::write(&launcher, PROVIDER).unwrap();
    (tools, launcher)
}

#[test]
fn a_stack_comes_up_holds_what_the_template_says_and_goes_down_clean() {
    let data = tempfile::tempdir().unwrap();
    let base = free_base(0);
    let mut start = command(data.path(), base);
    start.args(["--function-env", "AWS_ENDPOINT_URL_EVENTBRIDGE=http://127.0.0.1:9"]);
    let (tools, launcher) = tools_with_a_payment_provider(data.path());
    start.arg("--tools").arg(tools).arg("--stripe-server").arg(launcher);
    let mut up = Up::with(data.path(), start);
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

        let notices = file["resources"]["Notices"].as_str().unwrap();
        for (channel, text) in [("PUSH", "not this one"), ("EMAIL", "your invoice")] {
            let value = aws_sdk_sns::types::MessageAttributeValue::builder();
            let value = value.data_type("String").string_value(channel).build().unwrap();
            let publish = topics.publish().topic_arn(notices).message(text);
            publish.message_attributes("channel", value).send().await.unwrap();
        }
        let letters = file["resources"]["Letters"].as_str().unwrap();
        let received = sqs.receive_message().queue_url(letters).wait_time_seconds(5).send().await.unwrap();
        let received: Vec<_> = received.messages().iter().filter_map(|message| message.body()).collect();
        assert_eq!(received, ["your invoice"]);

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
        // As the rotation of the keys does.
        secrets.put_secret_value().secret_id(arn).secret_string("the next").send().await.unwrap();
        let secret = secrets.get_secret_value().secret_id(arn).send().await.unwrap();
        assert_eq!(secret.secret_string(), Some("the next"));

        let arn = file["outputs"]["Payments"].as_str().unwrap();
        let secret = secrets.get_secret_value().secret_id(arn).send().await.unwrap();
        let payments: Value = serde_json::from_str(secret.secret_string().unwrap()).unwrap();
        assert_eq!(payments["url"], file["stores"]["stripe"]["url"]);
        let told: Value =
            serde_json::from_slice(&std::fs::read(data.path().join("localstripe.json")).unwrap()).unwrap();
        let door = file["addresses"]["httpApi"].as_str().unwrap();
        assert_eq!(told["webhook_url"], format!("{door}/webhooks/stripe"));
        assert_eq!(json!([told["webhook_secret"]]), payments["webhookSecrets"]);

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

    let told = |more: &[&str]| {
        let mut env = Command::new(env!("CARGO_BIN_EXE_local"));
        let output = env.arg("env").arg("--data").arg(data.path()).args(more).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(told(&[]).contains("AWS_ENDPOINT_URL_EVENTBRIDGE=http://127.0.0.1:9\n"));
    assert!(told(&["--function-env", "AWS_ENDPOINT_URL_EVENTBRIDGE=x"]).contains("_EVENTBRIDGE=x\n"));

    let pids = store_pids(&file);
    assert_eq!(pids.len(), 5);
    up.signal(Signal::INT);
    let data_path = up.data.clone();
    let output = up.end();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("/graphql"));
    assert!(!data_path.join("stack.json").exists());
    assert!(!pids.into_iter().any(is_alive));
    for port in base..base + 12 {
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
