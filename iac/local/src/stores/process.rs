//! A program that the stack runs: started in a process group of its own, noted in a file so that a later run
//! can find it, stopped politely and then not.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

use super::StoreError;

/// How long a program may take to answer after its start, and to end after being asked.
const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(15);

/// A running program.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    group: Pid,
    stop: Signal,
    note: PathBuf,
    log: PathBuf,
}

/// What the file in `run/` says: enough to tell our process from a later one with the same number.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Note {
    pid: i32,
    /// Clock ticks after boot, field 22 of `/proc/PID/stat`.
    started: u64,
    /// The signal that it ends well on.
    stop: i32,
}

/// How a program is started and asked to stop.
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) command: std::process::Command,
    pub(crate) stop: Signal,
}

impl Process {
    /// Starts the program with its output in `data/logs/<name>.log`.
    pub(crate) fn start(data: &Path, spec: Spec) -> Result<Self, StoreError> {
        let Spec { name, command, stop } = spec;
        let log = data.join("logs").join(format!("{name}.log"));
        let failed = |error: std::io::Error| StoreError::new(name, format!("cannot be started: {error}"));
        let output = open_log(&log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let program = command.get_program().to_string_lossy().into_owned();
        let child = Command::from(command)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // A Ctrl-C at the terminal is for us alone: we stop the others in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| StoreError::new(name, format!("{program} cannot be started: {error}")))?;
        let group = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| StoreError::new(name, "ended as it started"))?;
        let note = data.join("run").join(format!("{name}.json"));
        let process = Self { name, child, group, stop, note, log };
        process.write_note().map_err(failed)?;
        Ok(process)
    }

    fn write_note(&self) -> std::io::Result<()> {
        let pid = self.group.as_raw_nonzero().get();
        let note = Note { pid, started: started(pid).unwrap_or_default(), stop: self.stop.as_raw() };
        if let Some(folder) = self.note.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&self.note, serde_json::to_vec(&note)?)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// Polls `answers` until it is true. Fails when the program ends first or takes too long.
    pub(crate) async fn ready(&mut self, answers: impl AsyncFn() -> bool) -> Result<(), StoreError> {
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        while !answers().await {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.ended(status));
            }
            if tokio::time::Instant::now() > deadline {
                let problem = format!("does not answer after {} s{}", READY_WITHIN.as_secs(), self.tail());
                return Err(StoreError::new(self.name, problem));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Resolves when the program ends by itself, which it never should.
    pub(crate) async fn died(&mut self) -> StoreError {
        match self.child.wait().await {
            Ok(status) => self.ended(status),
            Err(error) => StoreError::new(self.name, error.to_string()),
        }
    }

    fn ended(&self, status: ExitStatus) -> StoreError {
        StoreError::new(self.name, format!("ended unexpectedly ({status}){}", self.tail()))
    }

    fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(12).collect();
        let lines: Vec<&str> = lines.into_iter().rev().collect();
        format!("; the end of {}:\n{}", self.log.display(), lines.join("\n"))
    }

    /// Asks the program to end, and makes it end when it does not.
    pub(crate) async fn stop(mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            // The leader alone: programs with children of their own end those themselves.
            let _ = kill_process(self.group, self.stop);
            if tokio::time::timeout(STOP_WITHIN, self.child.wait()).await.is_err() {
                tracing::warn!("{} did not stop within {} s and is killed", self.name, STOP_WITHIN.as_secs());
            }
        }
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait().await;
        let _ = std::fs::remove_file(&self.note);
    }
}

fn open_log(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).write(true).truncate(true).open(path)
}

/// When the process started, in ticks after boot; `None` when there is no such process, or a dead one.
fn started(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    (*fields.first()? != "Z").then_some(())?;
    fields.get(19)?.parse().ok()
}

/// Ends what an earlier run left behind when it was killed. Touches only processes that the notes name and
/// whose start time agrees.
pub(crate) async fn stop_leftovers(data: &Path) {
    let Ok(entries) = std::fs::read_dir(data.join("run")) else { return };
    let mut alive = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let note = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
        let is_ours = |note: &Note| note.started != 0 && started(note.pid) == Some(note.started);
        if let Some(note) = note.filter(is_ours)
            && let Some(pid) = Pid::from_raw(note.pid)
        {
            tracing::warn!("stopping {} (process {}) of an earlier run", path.display(), note.pid);
            let _ = kill_process(pid, Signal::from_named_raw(note.stop).unwrap_or(Signal::TERM));
            alive.push((pid, note.started));
        }
        let _ = std::fs::remove_file(&path);
    }
    let deadline = tokio::time::Instant::now() + STOP_WITHIN;
    for (pid, began) in alive {
        let number = pid.as_raw_nonzero().get();
        while started(number) == Some(began) {
            if tokio::time::Instant::now() > deadline {
                let _ = kill_process_group(pid, Signal::KILL);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Kills every program of this run at once, for the person who will not wait.
pub(crate) fn kill_all(data: &Path) {
    let notes = std::fs::read_dir(data.join("run")).into_iter().flatten().flatten();
    for note in
        notes.filter_map(|entry| serde_json::from_slice::<Note>(&std::fs::read(entry.path()).ok()?).ok())
    {
        if started(note.pid) == Some(note.started)
            && let Some(group) = Pid::from_raw(note.pid)
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn sleeper(script: &str) -> Spec {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]);
        Spec { name: "sleeper", command, stop: Signal::TERM }
    }

    #[tokio::test]
    async fn a_program_that_ends_at_once_is_reported_with_its_words() {
        let data = tempfile::tempdir().unwrap();
        let mut process = Process::start(data.path(), sleeper("echo no such folder; exit 3")).unwrap();
        let error = process.ready(async || false).await.unwrap_err().to_string();
        assert!(error.contains("sleeper") && error.contains("no such folder"), "{error}");
    }

    #[tokio::test]
    async fn a_leftover_is_stopped_and_a_stranger_with_its_number_is_not() {
        let data = tempfile::tempdir().unwrap();
        let process = Process::start(data.path(), sleeper("exec sleep 60")).unwrap();
        let pid = process.pid();
        let note = data.path().join("run/sleeper.json");
        let truth = std::fs::read(&note).unwrap();

        let lie = Note { pid, started: 1, stop: Signal::TERM.as_raw() };
        std::fs::write(&note, serde_json::to_vec(&lie).unwrap()).unwrap();
        stop_leftovers(data.path()).await;
        assert!(started(pid).is_some());

        std::fs::write(&note, truth).unwrap();
        stop_leftovers(data.path()).await;
        assert!(started(pid).is_none());
        assert!(!note.exists());
    }

    #[tokio::test]
    async fn stopping_ends_the_whole_group() {
        let data = tempfile::tempdir().unwrap();
        let child_file = data.path().join("child");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "sleep 60 & echo $! > \"$0\"; wait"]).arg(&child_file);
        let spec = Spec { name: "parent", command, stop: Signal::TERM };
        let mut process = Process::start(data.path(), spec).unwrap();
        let child = || std::fs::read_to_string(&child_file).ok()?.trim().parse::<i32>().ok();
        process.ready(async || child().is_some()).await.unwrap();
        process.stop().await;
        let child = child().unwrap();
        while started(child).is_some() {
            tokio::task::yield_now().await;
        }
    }
}
