//! Templates as a deployment would read them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod expressions;
mod globals;
mod names;
mod refusals;

use std::collections::BTreeMap;

use local_template::{Endpoints, LoadOptions, Stack};

fn options() -> LoadOptions {
    LoadOptions {
        stack_name: "ev".into(),
        region: "eu-central-1".into(),
        account: "000000000000".into(),
        parameters: BTreeMap::new(),
        endpoints: Endpoints {
            aws: "http://127.0.0.1:4566".into(),
            graphql: "http://127.0.0.1:4000".into(),
            http_api: "http://127.0.0.1:4001".into(),
            websocket_api: "http://127.0.0.1:4002".into(),
        },
    }
}

fn stack(template: &str) -> Stack {
    Stack::parse(template, &options()).unwrap()
}

fn problem(template: &str) -> String {
    Stack::parse(template, &options()).expect_err("the template should be refused").to_string()
}
