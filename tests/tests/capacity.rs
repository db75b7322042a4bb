//! What `docs/CAPACITY.md` says follows from what was measured and from what it assumes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_yaml_ng::Value;
use tests::capacity::assumptions::{MEMORY_MB, MIX, USUAL_MEMORY_MB};
use tests::capacity::{Measured, need, rewritten};
use tests::stack::Stack;

fn text(path: &str) -> String {
    let path = Stack::root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn measured() -> Measured {
    serde_json::from_str(&text("docs/capacity/measured.json")).unwrap()
}

#[test]
fn the_document_says_what_follows_from_the_measurements() {
    let document = text("docs/CAPACITY.md");
    let rewritten = rewritten(&document, &measured()).unwrap();
    if std::env::var_os("UPDATE_CAPACITY").is_some() {
        std::fs::write(Stack::root().join("docs/CAPACITY.md"), rewritten).unwrap();
        return;
    }
    let other = document.lines().zip(rewritten.lines()).find(|(is, shall_be)| is != shall_be);
    assert!(document == rewritten, "run this test with UPDATE_CAPACITY=1; the first difference: {other:#?}");
}

#[test]
fn the_mix_is_whole_and_all_of_it_was_measured() {
    let percent: f64 = MIX.iter().map(|mixed| mixed.percent).sum();
    assert!((percent - 100.0).abs() < 1e-9, "{percent} %");
    let measured = measured();
    for mixed in MIX {
        let cost = measured.operations.get(mixed.operation).expect(mixed.operation);
        // An answer takes some processor time, and no second of it.
        assert!((0.01..1000.0).contains(&cost.functions_ms()), "{}: {cost:?}", mixed.operation);
        assert!(
            (0.0..1000.0).contains(&cost.postgres_ms) && (0.0..100.0).contains(&cost.redis_ms),
            "{cost:?}"
        );
    }
}

#[test]
fn twice_the_processor_time_needs_more_of_everything_that_is_computed() {
    let mut dearer = measured();
    let before = need(&dearer).unwrap();
    for cost in dearer.operations.values_mut() {
        cost.functions.values_mut().for_each(|share| share.cpu_ms *= 2.0);
        cost.postgres_ms *= 2.0;
    }
    let after = need(&dearer).unwrap();
    assert!(after.concurrency() > before.concurrency());
    assert!((after.postgres_cpus / before.postgres_cpus - 2.0).abs() < 1e-9);
}

#[test]
fn functions_have_the_memory_that_the_template_gives_them() {
    let template: Value = serde_yaml_ng::from_str(&text("template.yaml")).unwrap();
    let usual = &template["Globals"]["Function"]["MemorySize"];
    assert_eq!(usual.as_f64(), Some(USUAL_MEMORY_MB));
    let measured = measured();
    let functions = measured.operations.values().flat_map(|cost| cost.functions.keys());
    for function in functions {
        let folder = format!("target/lambda/{function}/");
        let resources = template["Resources"].as_mapping().unwrap().values();
        let properties = resources.map(|resource| &resource["Properties"]);
        let found =
            properties.into_iter().find(|properties| properties["CodeUri"] == Value::String(folder.clone()));
        let given = found.expect(function)["MemorySize"].as_f64().unwrap_or(USUAL_MEMORY_MB);
        let assumed =
            MEMORY_MB.iter().find(|(name, _)| name == function).map_or(USUAL_MEMORY_MB, |(_, mb)| *mb);
        assert!((given - assumed).abs() < 1e-9, "{function}: {given} MB in the template, {assumed} MB here");
    }
}
