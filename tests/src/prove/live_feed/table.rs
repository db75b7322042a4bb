//! The feed's table from behind: whom it still knows.

use std::time::Duration;

use aws_sdk_dynamodb::Client;

use crate::prove::queues::sdk_config;
use crate::stack::Stack;
use crate::{Result, wait};

/// How long a socket that has gone may be remembered.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// That of `stack`.
    pub(super) async fn of(stack: &Stack) -> Result<Self> {
        let name = stack.resources.get("LiveTable").ok_or("no live table")?.clone();
        Ok(Self { client: Client::new(&sdk_config(&stack.aws_url).await), name })
    }

    /// Waits until every row is of a socket that `is_known`.
    pub(super) async fn holds_only(&self, what: &str, is_known: impl Fn(&str) -> bool) -> Result<()> {
        let mut left = Vec::new();
        let swept = wait::until(what, FORGOTTEN_WITHIN, async || {
            left = self.sockets().await?;
            left.retain(|(_, socket)| !is_known(socket));
            Ok(left.is_empty().then_some(()))
        })
        .await;
        swept.map_err(|error| {
            let some: Vec<_> = left.iter().take(5).collect();
            format!("{error}: {} rows are left, such as {some:?}", left.len()).into()
        })
    }

    /// The key and the socket of each row.
    async fn sockets(&self) -> Result<Vec<(String, String)>> {
        let mut rows = Vec::new();
        let mut pages =
            self.client.scan().table_name(&self.name).consistent_read(true).into_paginator().send();
        while let Some(page) = pages.next().await {
            for item in page?.items.unwrap_or_default() {
                let text =
                    |name: &str| item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str);
                let (key, sort) = (text("pk").unwrap_or_default(), text("sk").unwrap_or_default());
                let socket = match key.split_once('#') {
                    Some(("socket", socket)) => socket,
                    Some(("station", _)) => sort,
                    _ => text("socket").unwrap_or_default(),
                };
                rows.push((key.to_owned(), socket.to_owned()));
            }
        }
        Ok(rows)
    }
}
