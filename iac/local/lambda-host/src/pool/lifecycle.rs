//! What becomes of a function's processes besides work: their start, their deadlines and their end.

use std::process::ExitStatus;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::{error, warn};

use super::{Phase, Pool, Verdict, fail_first};
use crate::invoke::{InvokeError, Outcome};
use crate::outcome;
use crate::report::{ProcessReport, resident};

impl Pool {
    /// A process reports that it cannot start: the invocation it was started for fails with its own document.
    pub(crate) fn init_failed(self: &Arc<Self>, id: u64, outcome: Outcome) {
        let mut state = self.state();
        let Some(process) = state.processes.get_mut(&id) else { return };
        if matches!(process.phase, Phase::Starting) {
            process.phase = Phase::Ending;
            process.retire.cancel();
            fail_first(&mut state, |_| Ok(outcome));
            self.replenish(&mut state);
        }
    }

    pub(crate) fn spawned(&self, id: u64, pid: Option<u32>) {
        if let Some(process) = self.state().processes.get_mut(&id) {
            process.pid = pid;
        }
    }

    /// The binary could not be executed at all.
    pub(crate) fn not_spawned(self: &Arc<Self>, id: u64, problem: &std::io::Error) {
        let binary = self.function.binary.display();
        let message = format!("{} cannot be started: {binary}: {problem}", self.function.name);
        error!(function = self.function.name, "{message}");
        let mut state = self.state();
        state.processes.remove(&id);
        fail_first(&mut state, |_| Err(InvokeError::Host(message)));
        self.replenish(&mut state);
    }

    /// Called by the process's keeper now and then. Between two calls no deadline can pass unseen: an
    /// invocation given in between is due at least a whole timeout later.
    pub(crate) fn inspect(self: &Arc<Self>, id: u64) -> Verdict {
        let now = Instant::now();
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(process) = state.processes.get_mut(&id) else { return Verdict::Kill };
        let due = match &process.phase {
            Phase::Starting => process.spawned + self.options.init_timeout,
            Phase::Busy { deadline, .. } => *deadline,
            Phase::Idle { since, .. } => *since + self.options.idle_after,
            Phase::Settling | Phase::Ending => now + self.function.timeout,
        };
        if now < due {
            return Verdict::LookAgain(due.min(now + self.function.timeout));
        }
        match std::mem::replace(&mut process.phase, Phase::Ending) {
            Phase::Busy { request_id, answer, .. } => {
                warn!(function = self.function.name, "timed out after {:?}", self.function.timeout);
                let _ = answer.send(Ok(outcome::timed_out(request_id, self.function.timeout)));
                Verdict::Kill
            }
            Phase::Starting => {
                let (limit, binary) = (self.options.init_timeout, &self.function.binary);
                error!(function = self.function.name, "{} is not ready after {limit:?}", binary.display());
                fail_first(state, |request_id| Ok(outcome::init_timed_out(request_id, limit, binary)));
                self.replenish(state);
                Verdict::Kill
            }
            _ => {
                state.idle.retain(|other| *other != id);
                Verdict::Stop
            }
        }
    }

    /// The process is gone: whatever it had in hand fails.
    pub(crate) fn exited(self: &Arc<Self>, id: u64, status: ExitStatus) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.idle.retain(|other| *other != id);
        let Some(process) = state.processes.remove(&id) else { return };
        let binary = &self.function.binary;
        match process.phase {
            Phase::Busy { request_id, answer, .. } => {
                warn!(function = self.function.name, "{} exited ({status})", binary.display());
                let _ = answer.send(Ok(outcome::exited(request_id, status, None)));
            }
            Phase::Starting => {
                error!(
                    function = self.function.name,
                    "{} exited while starting ({status})",
                    binary.display()
                );
                fail_first(state, |request_id| Ok(outcome::exited(request_id, status, Some(binary))));
            }
            Phase::Idle { .. } | Phase::Settling if !state.closed => {
                warn!(function = self.function.name, "{} exited while idle ({status})", binary.display());
            }
            _ => {}
        }
        self.replenish(state);
    }

    /// Ends every process that has no invocation in hand, so that the next one starts cold.
    pub(crate) fn retire_idle(&self) {
        let mut state = self.state();
        state.idle.clear();
        for process in state.processes.values_mut() {
            if matches!(process.phase, Phase::Idle { .. } | Phase::Settling) {
                process.phase = Phase::Ending;
                process.retire.cancel();
            }
        }
    }

    /// Refuses further work; the processes themselves end with the host's token.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.idle.clear();
        for waiting in state.queue.drain(..) {
            let _ = waiting.answer.send(Err(InvokeError::Host("the host is stopping".to_owned())));
        }
    }

    pub(crate) fn report(&self) -> Vec<ProcessReport> {
        let mut processes: Vec<_> = self
            .state()
            .processes
            .values()
            .map(|process| ProcessReport {
                function: self.function.name.clone(),
                pid: process.pid,
                spawn_to_ready: process.spawn_to_ready,
                rss_bytes: 0,
                peak_rss_bytes: 0,
                invocations: process.invocations,
                busy: matches!(process.phase, Phase::Busy { .. }),
            })
            .collect();
        for process in &mut processes {
            if let Some(pid) = process.pid {
                (process.rss_bytes, process.peak_rss_bytes) = resident(pid);
            }
        }
        processes
    }
}
