//! A function is a process of its own, with its own environment and limits, and ends when it must.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fixture;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fixture::{arn, host, host_with, parsed, payload, stack, tell, until};
use futures::future::join_all;
use lambda_host::{Host, Invoke, InvokeError, Options};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

#[tokio::test]
async fn answers_by_name_and_by_arn_from_one_warm_process() {
    let host = host(json!({})).await;
    let mut pids = BTreeSet::new();
    for name in ["obedient", &arn("obedient"), &format!("{}:live", arn("obedient"))] {
        let outcome = host.invoke(name, payload(&json!({"n": 1}))).await.unwrap();
        assert_eq!(outcome.function_error, None);
        let answer = parsed(&outcome);
        assert_eq!(answer["echo"], json!({"n": 1}));
        assert_eq!(answer["arn"], arn("obedient"));
        pids.insert(answer["pid"].as_u64().unwrap());
    }
    let report = host.report();
    assert_eq!(report.len(), 1);
    assert_eq!(pids, BTreeSet::from([u64::from(report[0].pid.unwrap())]));
    assert_eq!(report[0].invocations, 3);
    assert!(report[0].spawn_to_ready.is_some() && report[0].rss_bytes > 1024 * 1024);
    assert!(
        matches!(host.invoke("other", Bytes::new()).await, Err(InvokeError::UnknownFunction(name)) if name == "other")
    );
}

#[tokio::test]
async fn environment_is_the_templates_and_lambdas_and_nothing_else() {
    let variables = json!({"Environment": {"Variables": {"TABLE": "charges", "LIMIT": 3}},
        "LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG"}});
    let host = host_with(variables, |options| {
        options.extra_env.insert("AWS_ENDPOINT_URL".to_owned(), "http://127.0.0.1:1".to_owned());
    })
    .await;
    let mut env = parsed(&tell(&host, json!({"env": true})).await);
    // The runtime sets it itself, from the invocation.
    env.as_object_mut().unwrap().remove("_X_AMZN_TRACE_ID").unwrap();
    for (name, value) in [
        ("TABLE", "charges"),
        ("LIMIT", "3"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_LAMBDA_FUNCTION_NAME", "obedient"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/obedient"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("AWS_LAMBDA_LOG_LEVEL", "DEBUG"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
    ] {
        assert_eq!(env.as_object_mut().unwrap().remove(name), Some(json!(value)), "{name}");
    }
    let rest: Vec<_> = env.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        rest,
        ["AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LANG", "PATH"]
    );
}

#[tokio::test]
async fn is_killed_at_its_timeout_and_replaced() {
    let host = host(json!({"Timeout": 1})).await;
    let before = parsed(&tell(&host, json!({})).await)["pid"].clone();
    let outcome = tell(&host, json!({"sleep": 60_000})).await;
    assert_eq!(outcome.function_error.as_deref(), Some("Unhandled"));
    let error = parsed(&outcome);
    assert_eq!(error["errorType"], "Sandbox.Timedout");
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.starts_with("RequestId: "), "{message}");
    assert!(message.ends_with(" Error: Task timed out after 1.00 seconds"), "{message}");
    let after = parsed(&tell(&host, json!({})).await)["pid"].clone();
    assert_ne!(before, after);
    until("only the replacement is left", || host.report().len() == 1).await;
}

#[tokio::test]
async fn failure_panic_and_exit_are_function_errors() {
    let host = host(json!({})).await;
    let failed = tell(&host, json!({"fail": "no such car"})).await;
    assert_eq!(failed.function_error.as_deref(), Some("Unhandled"));
    assert_eq!(parsed(&failed)["errorMessage"], "no such car");

    let panicked = tell(&host, json!({"panic": "at the disco"})).await;
    assert_eq!(panicked.function_error.as_deref(), Some("Unhandled"));
    assert!(parsed(&panicked)["errorMessage"].as_str().unwrap().contains("at the disco"));

    let exited = tell(&host, json!({"exit": 3})).await;
    assert_eq!(exited.function_error.as_deref(), Some("Unhandled"));
    assert_eq!(parsed(&exited)["errorType"], "Runtime.ExitError");
    assert!(
        parsed(&exited)["errorMessage"]
            .as_str()
            .unwrap()
            .ends_with("Error: Runtime exited with error: exit status 3")
    );
    assert_eq!(tell(&host, json!({})).await.function_error, None);
}

/// SIGKILL from outside, and a wait until the kernel has done it; whether the host has noticed is not waited for.
fn kill(pid: u64) {
    let number = i32::try_from(pid).unwrap();
    kill_process(Pid::from_raw(number).unwrap(), Signal::KILL).unwrap();
    let is_dead = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        threads < 2 && stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
    };
    while !is_dead() {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn killed_in_an_invocation_it_fails_that_one_and_no_other() {
    let host = host(json!({"Timeout": 60})).await;
    let first = parsed(&tell(&host, json!({})).await)["pid"].as_u64().unwrap();
    let (killed, ()) = tokio::join!(tell(&host, json!({"sleep": 60_000})), async {
        until("it is busy", || host.report().iter().any(|process| process.busy)).await;
        kill(first);
    });
    assert_eq!(killed.function_error.as_deref(), Some("Unhandled"));
    let error = parsed(&killed);
    assert_eq!(error["errorType"], "Runtime.ExitError");
    assert!(error["errorMessage"].as_str().unwrap().contains("signal 9"), "{error}");

    let next = tell(&host, json!({})).await;
    assert_eq!(next.function_error, None);
    assert_ne!(parsed(&next)["pid"], first);
    assert_eq!(host.report().len(), 1);
}

#[tokio::test]
async fn killed_between_invocations_it_is_replaced_and_nothing_fails() {
    // One process at most, so that the dead one must not stand in the way of its successor.
    for limit in [json!({}), json!({"ReservedConcurrentExecutions": 1})] {
        let host = host(limit).await;
        let mut pids = BTreeSet::new();
        for _ in 0..20 {
            let outcome = tell(&host, json!({})).await;
            assert_eq!(outcome.function_error, None);
            let pid = parsed(&outcome)["pid"].as_u64().unwrap();
            assert!(pids.insert(pid), "a dead process answered");
            kill(pid);
        }
    }
}

#[tokio::test]
async fn killed_at_any_point_of_many_invocations_each_ends_and_the_host_goes_on() {
    let host = host(json!({"Timeout": 60})).await;
    let calls = async {
        for number in 0..200 {
            let outcome = tell(&host, json!({"n": number, "sleep": number % 4})).await;
            let answer = parsed(&outcome);
            match outcome.function_error {
                None => assert_eq!(answer["echo"]["n"], number),
                Some(_) => assert_eq!(answer["errorType"], "Runtime.ExitError"),
            }
        }
    };
    let killer = async {
        for round in 0_u32.. {
            // Whenever a process is there, after a while that differs each time.
            until("a process is there", || !host.report().is_empty()).await;
            tokio::time::sleep(Duration::from_micros(u64::from(round * 677 % 9000))).await;
            for process in host.report() {
                if let Some(pid) = process.pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw)
                {
                    // It may just have been killed.
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
        }
    };
    tokio::select! {
        () = calls => {}
        () = killer => {}
    }
    assert_eq!(tell(&host, json!({})).await.function_error, None);
}

#[tokio::test]
async fn binary_that_cannot_start_is_named() {
    let missing = host(json!({"CodeUri": "target/lambda/not-built/"})).await;
    let error = missing.invoke("obedient", Bytes::from("{}")).await.unwrap_err().to_string();
    assert!(error.contains("examples/not-built: No such file"), "{error}");

    let looping = host(json!({"Environment": {"Variables": {"AT_START": "exit"}}})).await;
    for _ in 0..2 {
        let error = parsed(&tell(&looping, json!({})).await);
        assert_eq!(error["errorType"], "Runtime.ExitError");
        let message = error["errorMessage"].as_str().unwrap();
        assert!(message.contains("exit status 7") && message.contains("examples/obedient"), "{message}");
    }

    let hanging = host_with(json!({"Environment": {"Variables": {"AT_START": "hang"}}}), |options| {
        options.init_timeout = Duration::from_millis(200);
    })
    .await;
    let error = parsed(&tell(&hanging, json!({})).await);
    assert_eq!(error["errorType"], "Sandbox.Timedout");
    assert!(error["errorMessage"].as_str().unwrap().contains("did not ask for its first invocation"));
}

#[tokio::test]
async fn six_megabytes_each_way() {
    let host = host(json!({})).await;
    let large = tell(&host, json!({"big": 6 * 1024 * 1024})).await;
    assert_eq!(large.payload.len(), 6 * 1024 * 1024 + 2);
    let larger = tell(&host, json!({"big": 7 * 1024 * 1024})).await;
    assert_eq!(parsed(&larger)["errorType"], "Function.ResponseSizeTooLarge");
    let request = Bytes::from(vec![b' '; 6 * 1024 * 1024 + 1]);
    assert!(matches!(host.invoke("obedient", request).await, Err(InvokeError::TooLarge)));
    assert_eq!(tell(&host, json!({})).await.function_error, None);
}

#[tokio::test]
async fn one_invocation_a_process_up_to_the_reserved_number_then_throttled() {
    let host = host_with(json!({"ReservedConcurrentExecutions": 2}), |options| {
        options.queue_wait = Duration::from_secs(30);
    })
    .await;
    let answers = join_all((0..6).map(|_| tell(&host, json!({"sleep": 50})))).await;
    let pids: BTreeSet<_> = answers.iter().map(|answer| parsed(answer)["pid"].as_u64()).collect();
    assert_eq!(pids.len(), 2);
    assert_eq!(host.report().len(), 2);

    let impatient = host_with(json!({"ReservedConcurrentExecutions": "1"}), |options| {
        options.queue_wait = Duration::from_millis(20);
    })
    .await;
    tell(&impatient, json!({})).await;
    let (first, second) = tokio::join!(
        impatient.invoke("obedient", payload(&json!({"sleep": 400}))),
        impatient.invoke("obedient", payload(&json!({}))),
    );
    assert_eq!(first.unwrap().function_error, None);
    assert!(matches!(second, Err(InvokeError::Throttled(name)) if name == "obedient"));
}

#[tokio::test]
async fn caller_that_leaves_does_not_stop_the_invocation() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    std::fs::write(&mark, "").unwrap();
    let host = host(json!({})).await;
    tell(&host, json!({})).await;
    let order = json!({"sleep": 100, "fail_unless_exists": mark});
    let abandoned = host.invoke("obedient", payload(&order));
    assert!(tokio::time::timeout(Duration::from_millis(20), abandoned).await.is_err());
    let done = folder.path().join("mark.done");
    until("the invocation finished", || done.exists()).await;
    assert_eq!(tell(&host, json!({})).await.function_error, None);
}

#[tokio::test]
async fn idle_process_is_stopped() {
    let host = host_with(json!({"Timeout": 1}), |options| {
        options.idle_after = Duration::from_millis(50);
    })
    .await;
    tell(&host, json!({})).await;
    until("the idle process is gone", || host.report().is_empty()).await;

    let kept = fixture::host(json!({})).await;
    tell(&kept, json!({})).await;
    assert_eq!(kept.report().len(), 1);
    kept.retire_idle();
    until("the retired process is gone", || kept.report().is_empty()).await;
}

#[tokio::test]
async fn shutdown_leaves_no_process() {
    let host = host(json!({})).await;
    let (_, busy) = tokio::join!(
        async {
            until("it is busy", || host.report().iter().any(|process| process.busy)).await;
            let pid = host.report()[0].pid.unwrap();
            host.shutdown().await;
            assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        },
        host.invoke("obedient", payload(&json!({"sleep": 60_000}))),
    );
    assert_eq!(parsed(&busy.unwrap())["errorType"], "Runtime.ExitError");
    assert!(matches!(host.invoke("obedient", Bytes::from("{}")).await, Err(InvokeError::Host(_))));
}

#[tokio::test]
async fn lines_are_shown_with_the_functions_name() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let host = host_with(json!({}), |options| {
        let lines = Arc::clone(&lines);
        options.logs = Arc::new(move |line| {
            lines.lock().unwrap().push((line.function.to_owned(), line.readable()));
        });
    })
    .await;
    let json_line = json!({"timestamp": "t", "level": "WARN", "target": "x",
        "fields": {"message": "session stopped", "session.id": "s-1", "kwh": 3}});
    tell(&host, json!({"print": "plain"})).await;
    tell(&host, json!({"print": json_line.to_string()})).await;
    let metrics_line = json!({"_aws": {"Timestamp": 1, "CloudWatchMetrics": []}, "FunctionName": "obedient",
        "ConsumerLag": [3, 5]});
    tell(&host, json!({"print": metrics_line.to_string()})).await;
    until("every line arrives", || lines.lock().unwrap().len() == 3).await;
    let expected = [
        (tracing::Level::INFO, "plain".to_owned()),
        (tracing::Level::WARN, "session stopped kwh=3 session.id=s-1".to_owned()),
        (tracing::Level::INFO, "metrics: ConsumerLag=[3,5]".to_owned()),
    ];
    let named = expected.map(|line| ("obedient".to_owned(), line));
    assert_eq!(*lines.lock().unwrap(), named);
}

#[tokio::test]
async fn property_nobody_knows_is_refused_by_name() {
    for (properties, problem) in [
        (json!({"Layers": []}), "unknown field `Layers`"),
        (json!({"Runtime": "nodejs22.x"}), "only provided.al2023"),
        (json!({"Timeout": "soon"}), "invalid digit"),
    ] {
        let options = Options::new(fixture::bin_dir());
        let error =
            Host::from_stack(&stack(&[("obedient", properties)]), options).await.err().unwrap().to_string();
        assert!(error.contains("obedientFunction") && error.contains(problem), "{error}");
    }
}
