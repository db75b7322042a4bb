//! `nearbyStations` at points nobody asked about before: what the function takes for itself and what its stores
//! take, as it says in its log, and how much the mirror looks at, as `explain` says.

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use serde_json::{Value, json};
use station::{MIRROR_COLLECTION, Search, mirror_filter};

use super::sample::Sample;
use crate::stack::Stack;
use crate::{Result, wait};

/// What the searches came to.
pub struct Uncached {
    /// Of the function itself.
    pub own: Sample,
    /// Of MongoDB and Aurora together.
    pub stores: Sample,
    /// Mean a search.
    pub keys_examined: f64,
    /// Mean a search.
    pub documents_examined: f64,
}

/// Searches around `points` fresh points in Austin, where the recorded data is densest.
pub async fn measure(stack: &Stack, points: u32) -> Result<Uncached> {
    let before = searches(stack)?.len();
    let mut examined = (0.0, 0.0);
    let mirror = Client::with_uri_str(&stack.mongo_url).await?;
    let database = mirror.database(&stack.database_name);
    for point in 0..points {
        // Redis keeps a list for each fourth decimal; the clock makes a second run ask elsewhere.
        let shift =
            f64::from(point).mul_add(0.001, f64::from(chrono::Utc::now().timestamp_subsec_micros()) * 1e-7);
        let arguments =
            json!({ "latitude": 30.2 + shift, "longitude": -97.8 + shift, "radiusKm": 10.0, "first": 50 });
        let search: Search = serde_json::from_value(arguments.clone())?;
        let find = doc! { "find": MIRROR_COLLECTION, "filter": mirror_filter(&search) };
        let explained = database.run_command(doc! { "explain": find, "verbosity": "executionStats" }).await?;
        let stats = explained.get_document("executionStats")?;
        examined.0 += number(stats, "totalKeysExamined") / f64::from(points);
        examined.1 += number(stats, "totalDocsExamined") / f64::from(points);
        let context = json!({
            "arguments": arguments, "identity": null, "source": null, "prev": null, "request": { "headers": {} },
            "info": { "fieldName": "nearbyStations", "parentTypeName": "Query", "variables": {} },
        });
        let answer: Value = stack.invoke("nearby-stations", &context).await?;
        answer.get("edges").ok_or_else(|| format!("no page: {answer}"))?;
    }
    let expected = before + points as usize;
    let lines = wait::until("the searches' log lines", Duration::from_secs(5), async || {
        Ok(Some(searches(stack)?).filter(|lines| lines.len() >= expected))
    })
    .await?;
    let mut uncached = Uncached {
        own: Sample::default(),
        stores: Sample::default(),
        keys_examined: examined.0,
        documents_examined: examined.1,
    };
    for line in lines.iter().skip(before).filter(|line| line.contains("source=Stores")) {
        uncached.own.add(field(line, "own_ms=")?);
        uncached.stores.add(field(line, "store_ms=")?);
    }
    if uncached.own.count() < points as usize / 2 {
        return Err(format!("{} of {points} searches were not cached", uncached.own.count()).into());
    }
    Ok(uncached)
}

fn searches(stack: &Stack) -> Result<Vec<String>> {
    let log = std::fs::read_to_string(stack.log())?;
    Ok(log.lines().filter(|line| line.contains("searched ")).map(str::to_owned).collect())
}

fn field(line: &str, name: &str) -> Result<Duration> {
    let rest = line.split_once(name).ok_or_else(|| format!("no {name} in {line}"))?.1;
    let ms: f64 = rest.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(Duration::from_secs_f64(ms / 1000.0))
}

fn number(document: &Document, name: &str) -> f64 {
    match document.get(name) {
        Some(Bson::Int32(number)) => f64::from(*number),
        Some(Bson::Int64(number)) => *number as f64,
        Some(Bson::Double(number)) => *number,
        _ => f64::NAN,
    }
}
