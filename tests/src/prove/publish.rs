//! Ten thousand events written and published while everything between the write and the mark breaks: the bus gets
//! every one of them, and none that was not written.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_eventbridge::types::Target;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use uuid::Uuid;

use super::database::Database;
use super::dice::Dice;
use super::faults::{Call, Fate, Faults, Step};
use super::place::{Needs, OwnStack, Place};
use super::queues::{Queue, Queues, sdk_config};
use super::{Proof, Size, billing};
use crate::stack::Stack;
use crate::{Result, wait};

/// Programs that write at the same time.
const WRITERS: usize = 8;
/// The most events of one write: more than `PutEvents` takes at once.
const MOST: usize = 12;
/// No consumer of ours listens for it.
const SOURCE: &str = "proof-service";

/// A business write that emits `$2` events, once a key; with `$3` it fails after that.
const WRITE: &str = "
    CREATE TABLE proof_writes (key uuid PRIMARY KEY, events integer NOT NULL);
    CREATE FUNCTION proof_write(new_key uuid, told integer, fails boolean) RETURNS jsonb LANGUAGE plpgsql AS $$
    DECLARE
        events jsonb;
    BEGIN
        INSERT INTO proof_writes (key, events) VALUES (new_key, told) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RETURN jsonb_build_object('outcome', true);
        END IF;
        SELECT jsonb_agg(emit('PROOF_TOLD', 1, 'proof-service', new_key, now(), jsonb_build_object('part', part)))
        INTO events FROM generate_series(1, told) AS part;
        IF fails THEN
            RAISE EXCEPTION 'as planned';
        END IF;
        RETURN jsonb_build_object('outcome', true, 'events', events);
    END;
    $$;";

/// Everything that can go wrong in one write, by step.
const WAYS: [Way; 21] = [
    way(Step::Write, Fate::Pass, 0),
    way(Step::Write, Fate::Refuse, 1),
    way(Step::Write, Fate::Refuse, 9),
    way(Step::Write, Fate::LoseAnswer, 1),
    way(Step::Write, Fate::LoseAnswer, 9),
    way(Step::Write, Fate::KillBefore, 1),
    way(Step::Write, Fate::KillMeanwhile, 1),
    way(Step::Write, Fate::KillAfter, 1),
    way(Step::Put, Fate::Refuse, 9),
    way(Step::Put, Fate::Throttle, 9),
    way(Step::Put, Fate::TakeSome(0b10_1101_0110), 1),
    way(Step::Put, Fate::LoseAnswer, 1),
    way(Step::Put, Fate::LoseAnswer, 9),
    way(Step::Put, Fate::KillBefore, 1),
    way(Step::Put, Fate::KillMeanwhile, 1),
    way(Step::Put, Fate::KillAfter, 1),
    way(Step::Mark, Fate::Refuse, 9),
    way(Step::Mark, Fate::LoseAnswer, 9),
    way(Step::Mark, Fate::KillBefore, 1),
    way(Step::Mark, Fate::KillMeanwhile, 1),
    way(Step::Mark, Fate::KillAfter, 1),
];

/// At this step, this happens so often in a row: nine times is more than an SDK tries.
#[derive(Clone, Copy)]
struct Way {
    step: Step,
    fate: Fate,
    times: u32,
}

const fn way(step: Step, fate: Fate, times: u32) -> Way {
    Way { step, fate, times }
}

/// A program that writes, what is planned for its current write, and its end.
#[derive(Default)]
struct Writer {
    way: Mutex<Option<Way>>,
    program: Mutex<Option<Child>>,
}

/// Nothing lost, nothing invented.
pub(super) async fn run(size: Size, place: &Place, seed: u64) -> Result<Proof> {
    let needs = Needs { faults: true, ..Needs::default() };
    place.prove("publish", needs, async |own| prove(size, own, &Arc::new(Dice::new(seed))).await).await
}

async fn prove(size: Size, own: &OwnStack, dice: &Arc<Dice>) -> Result<Proof> {
    let (stack, faults) = (&own.stack, own.faults()?);
    let wanted = size.of(600, 10_000_usize);
    let arrivals = listen(stack).await?;
    let database = Database::of(stack).await?;
    database.script(WRITE).await?;

    let writers: Arc<Vec<Writer>> = Arc::new((0..WRITERS).map(|_| Writer::default()).collect());
    let (planned, mortal) = (Arc::clone(&writers), Arc::clone(&writers));
    faults.follow(move |call| writer(&planned, call).map_or(Fate::Pass, |writer| fate(writer, call)));
    faults.end_others(move |call| {
        let program = writer(&mortal, call).map(|writer| &writer.program);
        let mut program = program.map(|program| program.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(program) = program.as_mut().and_then(|program| program.as_mut()) {
            // It fails only if it is dead already.
            let _ = program.start_kill();
        }
    });
    let written = "SELECT count(*) FROM outbox WHERE source = 'proof-service'";
    let mut crashes = 0;
    loop {
        // What was refused, or failed, told nothing.
        let missing = wanted.saturating_sub(usize::try_from(database.count(written).await?)?);
        if missing == 0 {
            break;
        }
        let share = missing.div_ceil(WRITERS);
        let writing = (0..WRITERS).map(|number| write(number, own, &writers[number], share, dice));
        crashes += futures::future::try_join_all(writing).await?.into_iter().sum::<u64>();
    }

    let kills = relay(size, stack, faults, &database, dice).await?;
    let arrived = arrived(&arrivals).await?;
    let events = check(&database, &arrived).await?;
    let delivered: usize = arrived.values().map(Vec::len).sum();
    let done = faults.done();
    let of = |what: &str| done.get(what).copied().unwrap_or_default();
    Ok(Proof {
        name: "publish",
        figure: format!(
            "{events} events, {crashes} writers and {kills} relays dead between two steps, {} refusals, {} lost answers: \
             0 lost, 0 invented ({delivered} deliveries)",
            of("refusals") + of("throttles") + of("partly taken"),
            of("lost answers"),
        ),
    })
}

/// A queue that hears everything of ours.
async fn listen(stack: &Stack) -> Result<Queue> {
    let queue = Queues::of(stack).await.create("proof-arrivals").await?;
    let bus = aws_sdk_eventbridge::Client::new(&sdk_config(&stack.aws_url).await);
    let name = stack.resources.get("EventBus").ok_or("the stack has no bus")?;
    let pattern = format!(r#"{{"source": ["{SOURCE}"]}}"#);
    bus.put_rule().name("proof").event_bus_name(name).event_pattern(pattern).send().await?;
    let target = Target::builder().id("proof").arn(queue.arn().await?).build()?;
    bus.put_targets().rule("proof").event_bus_name(name).targets(target).send().await?;
    Ok(queue)
}

/// The writer that calls, if it is one.
fn writer<'w>(writers: &'w [Writer], call: &Call) -> Option<&'w Writer> {
    let number = call.agent.split("app/writer-").nth(1)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    writers.get(digits.parse::<usize>().ok()?)
}

/// What was planned for it.
fn fate(writer: &Writer, call: &Call) -> Fate {
    let mut planned = writer.way.lock().unwrap_or_else(PoisonError::into_inner);
    match planned.as_mut() {
        Some(way) if way.step == call.step && way.times > 0 => {
            way.times -= 1;
            way.fate
        }
        _ => Fate::Pass,
    }
}

/// Writes until `wanted` events were told; gives how often it died.
async fn write(number: usize, own: &OwnStack, writer: &Writer, wanted: usize, dice: &Dice) -> Result<u64> {
    let (mut told, mut crashes) = (0, 0);
    while told < wanted {
        let mut program = command(own, number)?.spawn()?;
        let (asks, answers) = (program.stdin.take(), program.stdout.take());
        let (mut asks, answers) = asks.zip(answers).ok_or("a writer without pipes")?;
        let mut answers = BufReader::new(answers).lines();
        *writer.program.lock().unwrap_or_else(PoisonError::into_inner) = Some(program);
        let mut lives = true;
        while lives && told < wanted {
            let (key, events) = (Uuid::new_v4(), 1 + dice.below(MOST));
            told += events;
            *writer.way.lock().unwrap_or_else(PoisonError::into_inner) = Some(dice.one_of(&WAYS));
            let ask = json!({ "key": key, "events": events, "fails": dice.chance(0.03) });
            asks.write_all(format!("{ask}\n").as_bytes()).await?;
            // What it tells of its metrics comes between.
            lives = loop {
                match answers.next_line().await? {
                    None => break false,
                    Some(line) if line == format!("written {key}") => break true,
                    Some(_) => {}
                }
            };
        }
        crashes += u64::from(!lives);
    }
    Ok(crashes)
}

/// A writer that calls itself by its number, and has the relay's settings.
fn command(own: &OwnStack, number: usize) -> Result<Command> {
    let relay = own.stack.functions.iter().find(|function| function.binary == "relay-outbox");
    let faults = own.faults()?;
    let mut command = Command::new(own.binary("outbox-writer"));
    command
        .envs(&relay.ok_or("the stack has no relay")?.variables)
        .env("AWS_ENDPOINT_URL_RDS_DATA", format!("http://{}", faults.database))
        .env("AWS_ENDPOINT_URL_EVENTBRIDGE", format!("http://{}", faults.bus))
        .env("AWS_SDK_UA_APP_ID", format!("writer-{number}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}

/// Runs the relay until nothing is left, and kills it at any of its calls; gives how often.
async fn relay(
    size: Size,
    stack: &Stack,
    faults: &Faults,
    database: &Database,
    dice: &Arc<Dice>,
) -> Result<u64> {
    let (budget, dice) = (Mutex::new(size.of(10, 60)), Arc::clone(dice));
    let before = faults.kills();
    faults.follow(move |call| {
        let is_relay = call.caller.as_ref().is_some_and(|caller| caller.function == "relay-outbox");
        let mut budget = budget.lock().unwrap_or_else(PoisonError::into_inner);
        if is_relay && *budget > 0 && dice.chance(0.25) {
            *budget -= 1;
            dice.one_of(&Fate::DEATHS)
        } else {
            Fate::Pass
        }
    });
    billing::published(stack, database, size).await?;
    faults.calm();
    Ok(faults.kills() - before)
}

/// What came over the bus: each event's deliveries.
async fn arrived(arrivals: &Queue) -> Result<BTreeMap<String, Vec<Value>>> {
    let mut arrived = BTreeMap::<String, Vec<Value>>::new();
    // The last may be on their way.
    wait::until("the bus to be silent", Duration::from_secs(30), async || {
        let bodies = arrivals.drain().await?;
        for body in &bodies {
            let mut delivery: Value = serde_json::from_str(body)?;
            let event = delivery["detail"].take();
            arrived.entry(event["eventId"].as_str().unwrap_or_default().to_owned()).or_default().push(event);
        }
        Ok((bodies.is_empty() && arrivals.depth().await? == 0).then_some(()))
    })
    .await?;
    Ok(arrived)
}

/// Every event of the outbox arrived as it was written, and nothing else; gives how many there are.
async fn check(database: &Database, arrived: &BTreeMap<String, Vec<Value>>) -> Result<usize> {
    database
        .none(
            "writes that did not tell all of their events, or told without being written",
            "SELECT COALESCE(key, correlation_id) AS key, events, count(event_id) FROM proof_writes
             FULL JOIN (SELECT * FROM outbox WHERE source = 'proof-service') AS told ON correlation_id = key
             GROUP BY key, correlation_id, events HAVING count(event_id) IS DISTINCT FROM events",
        )
        .await?;
    let written =
        database.rows("SELECT event_id::text, payload FROM outbox WHERE source = 'proof-service'").await?;
    let mut ids = BTreeSet::new();
    for row in &written {
        let (id, payload): (String, Value) = (row.try_get(0)?, row.try_get(1)?);
        let deliveries = arrived.get(&id).ok_or_else(|| format!("event {id} was lost"))?;
        if deliveries.iter().any(|delivery| *delivery != payload) {
            return Err(format!("event {id} arrived as {deliveries:?}, and is {payload}").into());
        }
        ids.insert(id);
    }
    match arrived.keys().find(|id| !ids.contains(*id)) {
        Some(id) => Err(format!("event {id} was invented").into()),
        None => Ok(ids.len()),
    }
}
