//! A corpus of hostile requests against `POST /graphql` as it is in production: each is refused before any resolver
//! runs, and fast; what AppSync itself runs up to a limit is stopped there. Whoever asks something sensible meanwhile is
//! answered.

mod corpus;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::place::{Needs, Place};
use super::{Proof, Size};
use crate::Result;
use crate::accounts::Account;
use crate::stack::Stack;
use corpus::{CHEAP, Hostile, aliases, corpus};

/// Within which 99 of 100 are refused. Without optimisation the parser takes some twenty times as long, and other tests
/// may have both cores.
const WITHIN: Duration = Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 10 });
/// A sensible query in a storm of hostile ones.
const ANSWERED_WITHIN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });
const STORM: usize = 50;
const ALIASES: usize = 1_000;
/// The template's `ResolverCountLimit`.
const MOST_RESOLVERS: u64 = 50;

/// Each refused, none of them resolved.
pub(super) async fn run(size: Size, place: &Place) -> Result<Proof> {
    let needs = Needs { parameters: &["Introspection=DISABLED"], ..Needs::default() };
    place.prove("hostile-graphql", needs, async |own| prove(size, &own.stack).await).await
}

async fn prove(size: Size, stack: &Stack) -> Result<Proof> {
    let driver = Account::driver(stack, "Hanna Harmless").await?;
    let door = Door { stack, http: reqwest::Client::new(), token: driver.token };
    let corpus = corpus()?;
    door.answers().await?;

    let before = door.invocations().await?;
    let mut slowest = (Duration::ZERO, "");
    let mut failed = Vec::new();
    for hostile in &corpus {
        match door.refuses(hostile, size.of(20, 100)).await {
            Ok(took) if took > WITHIN => failed.push(format!("{} takes {took:.1?} at p99", hostile.what)),
            Ok(took) => slowest = slowest.max((took, hostile.what)),
            Err(error) => failed.push(error.to_string()),
        }
        let resolved = grown(&before, &door.invocations().await?);
        if !resolved.is_empty() {
            return Err(format!("{} is resolved: {resolved:?}", hostile.what).into());
        }
    }
    if !failed.is_empty() {
        return Err(format!("not refused within {WITHIN:?}: {}", failed.join("; ")).into());
    }
    let waited = door.stands_a_storm(&corpus).await?;
    door.answers().await?;
    let stopped = door.stops_aliases().await?;
    door.answers().await?;
    Ok(Proof {
        name: "hostile-graphql",
        figure: format!(
            "{} hostile requests: each refused without a resolver, p99 of the slowest {:.1} ms ({}); {STORM} at once keep \
             a sensible one waiting {} ms; of {ALIASES} aliases {stopped}",
            corpus.len(),
            slowest.0.as_secs_f64() * 1e3,
            slowest.1,
            waited.as_millis(),
        ),
    })
}

/// The API as one driver meets it.
struct Door<'a> {
    stack: &'a Stack,
    http: reqwest::Client,
    token: String,
}

impl Door<'_> {
    /// Fails unless a sensible query is answered.
    async fn answers(&self) -> Result<()> {
        let query = json!({ "query": format!("{{ {CHEAP} me {{ id }} }}") }).to_string();
        let (_, answer) = self.send(Method::POST, ("application/json", None), query.into()).await?;
        let is_sound = answer.get("errors").is_none() && answer["data"]["me"]["id"].is_string();
        if is_sound { Ok(()) } else { Err(format!("a sensible query gets {answer}").into()) }
    }

    /// The 99th percentile of how long a refusal takes; fails at anything else. What takes too long is measured anew,
    /// twice at most: a request that is slow by itself is slow each time, a machine with other work to do is not.
    async fn refuses(&self, hostile: &Hostile, repeats: usize) -> Result<Duration> {
        let mut took = self.refuses_all(hostile, repeats).await?;
        for _ in 0..2 {
            if took > WITHIN {
                took = self.refuses_all(hostile, repeats).await?;
            }
        }
        Ok(took)
    }

    async fn refuses_all(&self, hostile: &Hostile, repeats: usize) -> Result<Duration> {
        self.refuses_once(hostile).await?;
        let mut times = Vec::with_capacity(repeats);
        for _ in 0..repeats {
            times.push(self.refuses_once(hostile).await?);
        }
        times.sort_unstable();
        Ok(times[(times.len() * 99).div_ceil(100) - 1])
    }

    async fn refuses_once(&self, hostile: &Hostile) -> Result<Duration> {
        let Hostile { what, method, content, body } = hostile;
        let began = Instant::now();
        let sent = self.send(method.clone(), *content, body.clone()).await;
        let took = began.elapsed();
        let (status, answer) = sent.map_err(|error| format!("{what}: {error}"))?;
        let is_refused = answer["errors"].as_array().is_some_and(|errors| !errors.is_empty());
        if is_refused && answer["data"].is_null() && status < 500 {
            Ok(took)
        } else {
            Err(format!("{what} is not refused: HTTP {status}: {}", start(&answer)).into())
        }
    }

    async fn send(
        &self,
        method: Method,
        (content_type, encoding): (&str, Option<&str>),
        body: bytes::Bytes,
    ) -> Result<(u16, Value)> {
        let mut request = self.http.request(method.clone(), &self.stack.graphql_url);
        if method == Method::GET {
            request = request.query(&[("query", format!("{{ {CHEAP} }}"))]);
        } else {
            request = request.body(body);
        }
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        let request = request.header("content-type", content_type).header("authorization", &self.token);
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((status, response.json().await?))
    }

    /// How long a sensible query waits that comes with fifty hostile ones; all of them are answered.
    async fn stands_a_storm(&self, corpus: &[Hostile]) -> Result<Duration> {
        let mut waited = Duration::ZERO;
        for storm in corpus.chunks(STORM) {
            let hostile =
                try_join_all(storm.iter().cycle().take(STORM).map(|hostile| self.refuses_once(hostile)));
            let sensible = async {
                let began = Instant::now();
                self.answers().await.map(|()| began.elapsed())
            };
            let (_, took) = tokio::try_join!(hostile, sensible)?;
            waited = waited.max(took);
        }
        if waited > ANSWERED_WITHIN {
            return Err(format!("a sensible query waited {waited:?} in a storm").into());
        }
        Ok(waited)
    }

    /// A thousand aliases of what a function answers are a valid document, and AppSync has no limit that would refuse
    /// it whole: it runs as many resolvers as the template allows, and fails every further field.
    async fn stops_aliases(&self) -> Result<String> {
        let mut most = 0;
        for (kind, field) in [("query", CHEAP), ("mutation", "logout(refreshToken: \"x\")")] {
            let before = self.invocations().await?;
            let query = json!({ "query": format!("{kind} {{ {} }}", aliases(ALIASES, field)) }).to_string();
            let (_, answer) = self.send(Method::POST, ("application/json", None), query.into()).await?;
            let errors = answer["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
            let is_stopped = errors.iter().any(|error| error["errorType"] == "ResolverExecutionLimitReached");
            let ran = grown(&before, &self.invocations().await?).values().sum();
            if !is_stopped || !answer["data"].is_null() || ran > MOST_RESOLVERS {
                return Err(format!("{ALIASES} aliases of a {kind} ran {ran}: {}", start(&answer)).into());
            }
            most = most.max(ran);
        }
        Ok(format!("{most} run, then the limit refuses the request"))
    }

    /// How often each process of a function that resolves a field was given work.
    async fn invocations(&self) -> Result<Counts> {
        let resolvers = self.resolvers()?;
        let url = format!("{}/_local/processes", self.stack.lambda_url);
        let processes: Vec<Value> = self.http.get(url).send().await?.json().await?;
        let counts = processes.iter().filter_map(|process| {
            let function =
                process["function"].as_str().filter(|name| resolvers.iter().any(|known| known == name))?;
            let invocations = process["invocations"].as_u64()?;
            Some(((function.to_owned(), process["pid"].as_u64()), invocations))
        });
        Ok(counts.collect())
    }

    /// The names of the functions whose sample is a field to resolve.
    fn resolvers(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for function in &self.stack.functions {
            let sample = Stack::root().join("events").join(format!("{}.json", function.binary));
            let sample: Value = serde_json::from_slice(&std::fs::read(sample)?)?;
            if sample["info"]["fieldName"].is_string() {
                let url = self.stack.invoke_url(&function.binary)?;
                names.extend(url.rsplit('/').nth(1).map(str::to_owned));
            }
        }
        if names.is_empty() { Err("no function resolves anything".into()) } else { Ok(names) }
    }
}

/// By function and process.
type Counts = BTreeMap<(String, Option<u64>), u64>;

/// What was invoked in between, by function.
fn grown(before: &Counts, after: &Counts) -> BTreeMap<String, u64> {
    let mut grown = BTreeMap::new();
    for (process, count) in after {
        let more = count.saturating_sub(before.get(process).copied().unwrap_or_default());
        if more > 0 {
            *grown.entry(process.0.clone()).or_default() += more;
        }
    }
    grown
}

/// As much of an answer as a person reads.
fn start(answer: &Value) -> String {
    answer.to_string().chars().take(300).collect()
}
