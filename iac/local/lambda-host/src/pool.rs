//! Which process of a function gets which invocation. One short lock a function, never held over an await;
//! starting and ending processes is `process.rs`'s.

mod lifecycle;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;
use uuid::Uuid;

use crate::function::Function;
use crate::invoke::{InvokeError, Outcome};
use crate::options::Options;
use crate::process;

type Answer = Result<Outcome, InvokeError>;

/// What a process's `next` is answered with.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) request_id: Uuid,
    pub(crate) payload: Bytes,
    /// Milliseconds since 1970.
    pub(crate) deadline_ms: i64,
}

struct Invocation {
    request_id: Uuid,
    payload: Bytes,
    answer: oneshot::Sender<Answer>,
}

enum Phase {
    Starting,
    Idle {
        since: Instant,
        next: oneshot::Sender<Work>,
    },
    Busy {
        request_id: Uuid,
        deadline: Instant,
        answer: oneshot::Sender<Answer>,
    },
    /// It has answered and not yet asked again.
    Settling,
    /// It will be given nothing more.
    Ending,
}

struct Process {
    pid: Option<u32>,
    spawned: Instant,
    spawn_to_ready: Option<Duration>,
    invocations: u64,
    phase: Phase,
    retire: CancellationToken,
}

#[derive(Default)]
struct State {
    processes: HashMap<u64, Process>,
    /// The most recently used last: it is the one taken next.
    idle: Vec<u64>,
    queue: VecDeque<Invocation>,
    closed: bool,
}

impl State {
    fn count(&self, which: impl Fn(&Phase) -> bool) -> usize {
        self.processes.values().filter(|process| which(&process.phase)).count()
    }
}

/// What an invocation may expect.
#[derive(PartialEq, Eq)]
enum Outlook {
    /// It has a process, or one is starting for it.
    Certain,
    /// A process is about to ask for work.
    Soon,
    /// Every permitted process is busy.
    Full,
}

/// A process that has answered asks again within a fraction of this, unless it works on behind its answer.
const SETTLING_WAIT: Duration = Duration::from_millis(20);

/// What a process's keeper does next.
pub(crate) enum Verdict {
    LookAgain(Instant),
    Kill,
    Stop,
}

/// One function's processes and the invocations that wait for one.
pub(crate) struct Pool {
    pub(crate) function: Function,
    pub(crate) options: Arc<Options>,
    /// `http://127.0.0.1:PORT`, where the Runtime API listens.
    pub(crate) runtime_api: String,
    stopping: CancellationToken,
    tasks: TaskTracker,
    state: Mutex<State>,
}

/// Across all functions, so that a number alone names a process in the logs.
static PROCESSES: AtomicU64 = AtomicU64::new(1);

impl Pool {
    pub(crate) fn new(
        function: Function,
        options: Arc<Options>,
        runtime_api: String,
        stopping: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self { function, options, runtime_api, stopping, tasks, state: Mutex::default() }
    }

    fn limit(&self) -> usize {
        self.function.concurrency.unwrap_or(self.options.max_processes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `payload` to a process and waits. A caller that goes away does not stop the invocation.
    pub(crate) async fn invoke(self: &Arc<Self>, payload: Bytes) -> Answer {
        let (answer, mut answered) = oneshot::channel();
        let request_id = Uuid::new_v4();
        let mut outlook = self.place(Invocation { request_id, payload, answer })?;
        if outlook == Outlook::Soon {
            match tokio::time::timeout(SETTLING_WAIT, &mut answered).await {
                Ok(answer) => return answer.unwrap_or_else(|_| Err(self.lost())),
                Err(_) => outlook = self.press(),
            }
        }
        if outlook == Outlook::Full {
            match tokio::time::timeout(self.options.queue_wait, &mut answered).await {
                Ok(answer) => return answer.unwrap_or_else(|_| Err(self.lost())),
                Err(_) if self.withdraw(request_id) => {
                    return Err(InvokeError::Throttled(self.function.name.clone()));
                }
                Err(_) => {}
            }
        }
        answered.await.unwrap_or_else(|_| Err(self.lost()))
    }

    fn lost(&self) -> InvokeError {
        InvokeError::Host(format!("a process of {} dropped its invocation", self.function.name))
    }

    /// Hands the invocation to an idle process, or queues it and starts one if needed.
    fn place(self: &Arc<Self>, mut invocation: Invocation) -> Result<Outlook, InvokeError> {
        if self.limit() == 0 {
            return Err(InvokeError::Throttled(self.function.name.clone()));
        }
        let mut state = self.state();
        if state.closed {
            return Err(InvokeError::Host("the host is stopping".to_owned()));
        }
        while let Some(id) = state.idle.pop() {
            match self.give(&mut state, id, invocation) {
                Ok(()) => return Ok(Outlook::Certain),
                Err(back) => invocation = back,
            }
        }
        state.queue.push_back(invocation);
        if state.queue.len() <= state.count(|phase| matches!(phase, Phase::Starting | Phase::Settling)) {
            return Ok(Outlook::Soon);
        }
        Ok(self.replenish(&mut state))
    }

    /// The processes that were about to ask did not: starts others.
    fn press(self: &Arc<Self>) -> Outlook {
        self.replenish(&mut self.state())
    }

    /// Gives an idle process its work; the invocation comes back if the process's poll is gone.
    fn give(&self, state: &mut State, id: u64, invocation: Invocation) -> Result<(), Invocation> {
        let Some(process) = state.processes.get_mut(&id) else { return Err(invocation) };
        if process.pid.is_some_and(process::is_gone) {
            // Killed a moment ago: nothing that it would be given could be answered.
            warn!(function = self.function.name, "a process ended while idle");
            state.processes.remove(&id);
            return Err(invocation);
        }
        let Phase::Idle { next, .. } = std::mem::replace(&mut process.phase, Phase::Settling) else {
            return Err(invocation);
        };
        let Invocation { request_id, payload, answer } = invocation;
        match next.send(self.work(request_id, payload)) {
            Ok(()) => {
                self.begin(process, request_id, answer);
                Ok(())
            }
            Err(work) => Err(Invocation { request_id, payload: work.payload, answer }),
        }
    }

    fn begin(&self, process: &mut Process, request_id: Uuid, answer: oneshot::Sender<Answer>) {
        process.invocations += 1;
        process.phase = Phase::Busy { request_id, deadline: Instant::now() + self.function.timeout, answer };
    }

    fn work(&self, request_id: Uuid, payload: Bytes) -> Work {
        let timeout_ms = i64::try_from(self.function.timeout.as_millis()).unwrap_or(i64::MAX);
        Work { request_id, payload, deadline_ms: Utc::now().timestamp_millis().saturating_add(timeout_ms) }
    }

    /// Starts a process for each queued invocation that none is starting for, within the limit.
    fn replenish(self: &Arc<Self>, state: &mut State) -> Outlook {
        let mut starting = state.count(|phase| matches!(phase, Phase::Starting));
        while starting < state.queue.len() {
            if state.processes.len() >= self.limit() || state.closed {
                return Outlook::Full;
            }
            let id = PROCESSES.fetch_add(1, Ordering::Relaxed);
            let retire = self.stopping.child_token();
            state.processes.insert(
                id,
                Process {
                    pid: None,
                    spawned: Instant::now(),
                    spawn_to_ready: None,
                    invocations: 0,
                    phase: Phase::Starting,
                    retire: retire.clone(),
                },
            );
            self.tasks.spawn(process::keep(Arc::clone(self), id, retire));
            starting += 1;
        }
        Outlook::Certain
    }

    /// Takes a queued invocation back; false if a process already has it.
    fn withdraw(&self, request_id: Uuid) -> bool {
        let mut state = self.state();
        let place = state.queue.iter().position(|waiting| waiting.request_id == request_id);
        place.and_then(|place| state.queue.remove(place)).is_some()
    }

    /// A process asks for work: a queued invocation at once, or the next to come. `None` if it is unknown or
    /// is to end.
    pub(crate) fn next(&self, id: u64) -> Option<oneshot::Receiver<Work>> {
        let (next, work) = oneshot::channel();
        let mut guard = self.state();
        let state = &mut *guard;
        let process = state.processes.get_mut(&id)?;
        // A request of a process that was killed after it had sent it must not take an invocation with it.
        let is_gone = process.pid.is_some_and(process::is_gone);
        if state.closed || is_gone || matches!(process.phase, Phase::Ending) {
            return None;
        }
        let spawned = process.spawned;
        process.spawn_to_ready.get_or_insert_with(|| spawned.elapsed());
        // A poll repeated after a broken connection replaces the one before.
        state.idle.retain(|other| *other != id);
        match state.queue.pop_front() {
            Some(waiting) => {
                self.begin(process, waiting.request_id, waiting.answer);
                // The receiver is in our hand: this cannot fail.
                let _ = next.send(self.work(waiting.request_id, waiting.payload));
            }
            None => {
                process.phase = Phase::Idle { since: Instant::now(), next };
                state.idle.push(id);
            }
        }
        Some(work)
    }

    /// A process answers; false if it does not have that invocation (any more).
    pub(crate) fn answer(&self, id: u64, request_id: Uuid, outcome: Outcome) -> bool {
        let mut state = self.state();
        let Some(process) = state.processes.get_mut(&id) else { return false };
        match std::mem::replace(&mut process.phase, Phase::Settling) {
            Phase::Busy { request_id: held, answer, .. } if held == request_id => {
                drop(state);
                // A caller that went away does not want the answer.
                let _ = answer.send(Ok(outcome));
                true
            }
            other => {
                process.phase = other;
                false
            }
        }
    }
}

/// The invocation that has waited longest is the one a failed start was for.
fn fail_first(state: &mut State, answer: impl FnOnce(Uuid) -> Answer) {
    if let Some(waiting) = state.queue.pop_front() {
        let answer = answer(waiting.request_id);
        let _ = waiting.answer.send(answer);
    }
}
