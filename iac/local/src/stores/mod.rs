//! The real stores that the stack stands on, each a program of its own: PostgreSQL, Redis, MongoDB, and
//! ministack for the AWS services without a door here.

mod ministack;
mod mongo;
mod open_charge_map;
mod postgres;
pub(crate) mod process;
mod redis;
mod stripe;

use std::path::{Path, PathBuf};

use serde::Serialize;

use self::process::Process;
pub(crate) use self::stripe::{Stripe, Webhook};
use crate::ports::{self, PortTaken, Ports};

/// A store that cannot be had. Says which, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{store}: {problem}")]
pub(crate) struct StoreError {
    store: &'static str,
    problem: String,
}

impl StoreError {
    pub(crate) fn new(store: &'static str, problem: impl Into<String>) -> Self {
        Self { store, problem: problem.into() }
    }
}

/// What runs as a store.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoreInfo {
    /// `PostgreSQL 15.14`, `secantusd-rs (stand-in for MongoDB)`, …
    pub(crate) kind: String,
    /// Absent when somebody else runs it.
    pub(crate) pid: Option<i32>,
    /// How to connect.
    pub(crate) url: String,
}

/// Where things are.
pub(crate) struct Places {
    pub(crate) data: PathBuf,
    pub(crate) tools: PathBuf,
}

/// All stores, up.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stores {
    pub(crate) postgres: StoreInfo,
    pub(crate) redis: StoreInfo,
    pub(crate) mongo: StoreInfo,
    pub(crate) ministack: StoreInfo,
    /// Absent where the real one is asked.
    pub(crate) open_charge_map: Option<StoreInfo>,
    /// Absent where the stand-in is not installed.
    pub(crate) stripe: Option<StoreInfo>,
}

/// The programs that are the stores.
pub(crate) struct Processes(Vec<Process>);

/// How the stores are to run.
pub(crate) struct Settings {
    pub(crate) ports: Ports,
    pub(crate) region: String,
    pub(crate) no_fsync: bool,
    /// Where a real MongoDB is already running.
    pub(crate) mongo_uri: Option<String>,
    /// What stands in for OpenChargeMap.
    pub(crate) ocm_server: Option<PathBuf>,
    /// What stands in for Stripe, if it is installed.
    pub(crate) stripe: Option<Stripe>,
}

impl Settings {
    /// The address of MongoDB, which is known before it runs.
    pub(crate) fn mongo_uri(&self) -> String {
        self.mongo_uri.clone().unwrap_or_else(|| mongo::uri(self.ports.mongo))
    }

    /// The address of Redis, which is known before it runs.
    pub(crate) fn redis_url(&self) -> String {
        redis::url(self.ports.redis)
    }

    /// The address of the stand-in for OpenChargeMap, if there is to be one.
    pub(crate) fn ocm_url(&self) -> Option<String> {
        self.ocm_server.as_ref().map(|_| open_charge_map::url(self.ports.open_charge_map))
    }

    /// The address of Stripe's stand-in, whether or not it is installed.
    pub(crate) fn stripe_url(&self) -> String {
        stripe::url(self.ports.stripe)
    }

    /// Checks the ports that the stores will take.
    pub(crate) fn check_ports(&self) -> Result<(), PortTaken> {
        let Ports { postgres, redis, mongo, ministack, open_charge_map, stripe, .. } = self.ports;
        ports::check_free(postgres, "PostgreSQL")?;
        ports::check_free(redis, "Redis")?;
        if self.mongo_uri.is_none() {
            ports::check_free(mongo, "MongoDB")?;
        }
        if self.ocm_server.is_some() {
            ports::check_free(open_charge_map, "the OpenChargeMap stand-in")?;
        }
        if self.stripe.is_some() {
            ports::check_free(stripe, "localstripe")?;
        }
        ports::check_free(ministack, "ministack (DynamoDB, SQS, SNS, EventBridge, Secrets Manager)")
    }
}

impl Stores {
    /// Starts all at once and waits until each answers. On failure nothing is left running.
    pub(crate) async fn start(places: &Places, settings: &Settings) -> Result<(Self, Processes), StoreError> {
        let Settings { ports, region, no_fsync, mongo_uri, ocm_server, stripe } = settings;
        let (postgres, redis, mongo, ministack, ocm, stripe) = tokio::join!(
            postgres::start(places, ports.postgres, *no_fsync),
            redis::start(places, ports.redis),
            mongo::start(places, ports.mongo, mongo_uri.as_deref()),
            ministack::start(places, ports.ministack, region),
            open_charge_map::start(places, ports.open_charge_map, ocm_server.as_deref()),
            async {
                match stripe {
                    Some(stripe) => stripe.start(places, ports.stripe).await.map(Some),
                    None => Ok(None),
                }
            },
        );
        let mut processes = Vec::new();
        let [ocm, stripe] = [ocm, stripe].map(|stand_in| {
            stand_in.map(|started| {
                started.map(|(info, process)| {
                    processes.push(process);
                    info
                })
            })
        });
        let mut keep = |started: Result<(StoreInfo, Option<Process>), StoreError>| {
            started.map(|(info, process)| {
                processes.extend(process);
                info
            })
        };
        let results = (keep(postgres), keep(redis), keep(mongo), keep(ministack), ocm, stripe);
        let (started, stand_ins) = match results {
            (Ok(postgres), Ok(redis), Ok(mongo), Ok(ministack), Ok(open_charge_map), Ok(stripe)) => {
                let stores = Self { postgres, redis, mongo, ministack, open_charge_map, stripe };
                return Ok((stores, Processes(processes)));
            }
            (postgres, redis, mongo, ministack, ocm, stripe) => {
                ([postgres, redis, mongo, ministack], [ocm, stripe])
            }
        };
        futures::future::join_all(processes.into_iter().map(Process::stop)).await;
        let problems = started.into_iter().filter_map(Result::err);
        let problems: Vec<StoreError> =
            problems.chain(stand_ins.into_iter().filter_map(Result::err)).collect();
        let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Err(StoreError::new("stores", words.join("\n")))
    }
}

impl Processes {
    /// Resolves when any of them ends by itself.
    pub(crate) async fn died(&mut self) -> StoreError {
        let deaths = self.0.iter_mut().map(|process| Box::pin(process.died()));
        if deaths.len() == 0 {
            return std::future::pending().await;
        }
        futures::future::select_all(deaths).await.0
    }

    /// Stops them all, at the same time: none needs another to end.
    pub(crate) async fn stop(self) {
        futures::future::join_all(self.0.into_iter().map(Process::stop)).await;
    }
}

/// How to connect to the database of the functions.
pub(crate) fn postgres_config(port: u16) -> tokio_postgres::Config {
    postgres::config(port, crate::foundation::DATABASE)
}

/// The program `name` in `folder`, if it is there.
fn in_folder(folder: &Path, name: &str) -> Option<PathBuf> {
    Some(folder.join(name)).filter(|path| path.is_file())
}

/// The program `name` on the PATH.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find_map(|folder| in_folder(&folder, name))
}
