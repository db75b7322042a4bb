//! The ways in that are not a plain call: events, Lambda's Invoke API, and another host's endpoint.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fixture;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fixture::{arn, bin_dir, host, host_with, parsed, payload, stack, tell, until};
use lambda_host::{Destination, FailedEvent, Forward, Host, Invoke, InvokeError, Options, invoke_api};
use reqwest::{Client, Url};
use serde_json::{Value, json};

async fn serve(host: Arc<Host>) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, invoke_api(host)).await });
    url.parse().unwrap()
}

#[tokio::test]
async fn event_is_tried_again_until_it_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let host = host(json!({})).await;
    host.invoke_event("obedient", payload(&json!({"fail_unless_exists": mark}))).await.unwrap();
    let done = folder.path().join("mark.done");
    until("the second attempt succeeded", || done.exists()).await;
}

#[tokio::test]
async fn event_that_always_fails_goes_to_its_destination() {
    let queue = "arn:aws:sqs:eu-west-1:000000000000:lost";
    for (properties, attempts) in [
        (json!({"DeadLetterQueue": {"Type": "SQS", "TargetArn": queue}}), 3),
        (
            json!({"EventInvokeConfig": {"MaximumRetryAttempts": 0,
                "DestinationConfig": {"OnFailure": {"Type": "SQS", "Destination": queue}}}}),
            1,
        ),
    ] {
        let lost: Arc<Mutex<Vec<FailedEvent>>> = Arc::default();
        let host = host_with(properties, |options| {
            let lost = Arc::clone(&lost);
            options.on_failure = Arc::new(move |event| lost.lock().unwrap().push(event));
        })
        .await;
        host.invoke_event("obedient", payload(&json!({"fail": "never"}))).await.unwrap();
        until("the event is given up", || !lost.lock().unwrap().is_empty()).await;
        let event = lost.lock().unwrap().remove(0);
        assert_eq!(event.attempts, attempts);
        assert!(matches!(&event.destination,
            Some(Destination::DeadLetter(arn) | Destination::OnFailure(arn)) if arn == queue));
        let record = event.record();
        assert_eq!(record["requestPayload"], json!({"fail": "never"}));
        assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
        assert_eq!(record["requestContext"]["functionArn"], format!("{}:$LATEST", arn("obedient")));
        assert_eq!(record["responseContext"]["functionError"], "Unhandled");
        assert_eq!(record["responsePayload"]["errorMessage"], "never");
    }
}

#[tokio::test]
async fn event_over_a_megabyte_or_for_nobody_is_refused_at_once() {
    let host = host(json!({})).await;
    let large = Bytes::from(vec![b' '; 1024 * 1024 + 1]);
    assert!(matches!(host.invoke_event("obedient", large).await, Err(InvokeError::TooLarge)));
    assert!(matches!(host.invoke_event("other", Bytes::new()).await, Err(InvokeError::UnknownFunction(_))));
}

#[tokio::test]
async fn invoke_api_speaks_as_lambda_does() {
    let mut options = Options::new(bin_dir());
    options.queue_wait = std::time::Duration::ZERO;
    let functions = [("obedient", json!({})), ("closed", json!({"ReservedConcurrentExecutions": 0}))];
    let host = Host::from_stack(&stack(&functions), options).await.unwrap();
    let url = serve(Arc::clone(&host)).await;
    let client = Client::new();
    let post = |name: &str, kind: &str, body: Vec<u8>| {
        let url = url.join(&format!("/2015-03-31/functions/{name}/invocations")).unwrap();
        let request = client.post(url).header("X-Amz-Invocation-Type", kind).body(body);
        async move { request.send().await.unwrap() }
    };

    let arn = arn("obedient").replace(':', "%3A");
    let answer = post(&arn, "RequestResponse", b"{\"n\":1}".to_vec()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-amz-executed-version"], "$LATEST");
    assert!(answer.headers().contains_key("x-amzn-requestid"));
    assert!(!answer.headers().contains_key("x-amz-function-error"));
    assert_eq!(answer.json::<Value>().await.unwrap()["echo"], json!({"n": 1}));

    let failed = post("obedient", "RequestResponse", b"{\"fail\":\"x\"}".to_vec()).await;
    assert_eq!(failed.status(), 200);
    assert_eq!(failed.headers()["x-amz-function-error"], "Unhandled");

    assert_eq!(post("obedient", "Event", Vec::new()).await.status(), 202);
    assert_eq!(post("obedient", "DryRun", Vec::new()).await.status(), 204);
    for (name, kind, body, status, error) in [
        ("other", "RequestResponse", Vec::new(), 404, "ResourceNotFoundException"),
        ("other", "DryRun", Vec::new(), 404, "ResourceNotFoundException"),
        ("closed", "RequestResponse", Vec::new(), 429, "TooManyRequestsException"),
        ("obedient", "RequestResponse", vec![b' '; 6 * 1024 * 1024 + 1], 413, "RequestTooLargeException"),
        ("obedient", "Whenever", Vec::new(), 400, "InvalidParameterValueException"),
    ] {
        let refused = post(name, kind, body).await;
        assert_eq!(refused.status(), status, "{name} {kind}");
        assert_eq!(refused.headers()["x-amzn-errortype"], error);
    }

    let processes = client.get(url.join("/_local/processes").unwrap()).send().await.unwrap();
    let processes: Value = processes.json().await.unwrap();
    assert_eq!(processes[0]["function"], "obedient");
    assert!(processes[0]["spawnToReadyMs"].as_f64().unwrap() > 0.0);
    assert!(processes[0]["rssBytes"].as_u64().unwrap() > 0);
    client.delete(url.join("/_local/processes").unwrap()).send().await.unwrap();
    until("the idle processes are gone", || host.report().is_empty()).await;
}

#[tokio::test]
async fn forwards_to_another_endpoint_by_whatever_name_it_knows() {
    // The other host knows the function by its logical id, as `sam local` may.
    let elsewhere = stack(&[("hereFunction", json!({}))]);
    let other = Host::from_stack(&elsewhere, Options::new(bin_dir())).await.unwrap();
    let mut options = Options::new(bin_dir());
    options.forward = Some(Forward { endpoint: serve(Arc::clone(&other)).await, only: Vec::new() });
    let host = Host::from_stack(&stack(&[("here", json!({}))]), options).await.unwrap();

    for _ in 0..2 {
        let outcome = host.invoke("here", payload(&json!({"n": 2}))).await.unwrap();
        assert_eq!(parsed(&outcome)["echo"], json!({"n": 2}));
    }
    let failed = host.invoke("here", payload(&json!({"fail": "x"}))).await.unwrap();
    assert_eq!(failed.function_error.as_deref(), Some("Unhandled"));
    assert!(host.report().is_empty());
    assert_eq!(other.report().len(), 1);
}

#[tokio::test]
async fn runs_what_the_other_endpoint_does_not() {
    let nothing = Host::from_stack(&stack(&[]), Options::new(bin_dir())).await.unwrap();
    let all = |endpoint| Forward { endpoint, only: Vec::new() };
    let cases = [
        all(serve(nothing).await),
        all("http://127.0.0.1:1".parse().unwrap()),
        Forward { endpoint: serve(host(json!({})).await).await, only: vec!["another".to_owned()] },
    ];
    for forward in cases {
        let host = host_with(json!({}), |options| options.forward = Some(forward)).await;
        assert_eq!(parsed(&tell(&host, json!({"n": 3})).await)["echo"], json!({"n": 3}));
        assert_eq!(host.report().len(), 1);
    }
}

#[tokio::test]
async fn a_function_is_known_by_its_logical_id_too() {
    let host = host(json!({})).await;
    let outcome = host.invoke("obedientFunction", payload(&json!({"n": 4}))).await.unwrap();
    assert_eq!(parsed(&outcome)["echo"], json!({"n": 4}));
    assert!(matches!(host.invoke("nowhere", Bytes::from("{}")).await, Err(InvokeError::UnknownFunction(_))));
}
