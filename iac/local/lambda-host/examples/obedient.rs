//! A function for this crate's tests: it does what the event says, so one binary shows every way to behave.

use std::collections::BTreeMap;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Error> {
    match std::env::var("AT_START").as_deref() {
        Ok("exit") => std::process::exit(7),
        Ok("hang") => std::future::pending::<()>().await,
        _ => {}
    }
    run(service_fn(obey)).await
}

async fn obey(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let order = event.payload;
    if let Some(line) = order["print"].as_str() {
        println!("{line}");
    }
    if let Some(milliseconds) = order["sleep"].as_u64() {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    if let Some(status) = order["exit"].as_i64() {
        std::process::exit(i32::try_from(status)?);
    }
    if let Some(message) = order["panic"].as_str() {
        panic!("{message}");
    }
    if let Some(message) = order["fail"].as_str() {
        return Err(message.into());
    }
    if let Some(path) = order["fail_unless_exists"].as_str() {
        let seen = std::path::Path::new(path).exists();
        std::fs::write(path, "")?;
        if !seen {
            return Err("first time".into());
        }
        std::fs::write(format!("{path}.done"), "")?;
    }
    if let Some(size) = order["big"].as_u64() {
        return Ok(Value::String("x".repeat(usize::try_from(size)?)));
    }
    if order["env"] == true {
        return Ok(json!(std::env::vars().collect::<BTreeMap<_, _>>()));
    }
    Ok(json!({"echo": order, "pid": std::process::id(), "arn": event.context.invoked_function_arn}))
}
