//! One function process from spawn to exit: its environment, its output, and its end.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

use crate::logs::follow;
use crate::pool::{Pool, Verdict};

/// Spawns the process and stays until it is gone.
pub(crate) async fn keep(pool: Arc<Pool>, id: u64, retire: CancellationToken) {
    let mut child = match command(&pool, id).spawn() {
        Ok(child) => child,
        Err(problem) => return pool.not_spawned(id, &problem),
    };
    pool.spawned(id, child.id());
    // Apart from the keeper, so that a talkative process cannot delay its own kill.
    let output = tokio::spawn(read(Arc::clone(&pool), id, child.stdout.take(), child.stderr.take()));
    let status = loop {
        let again = match pool.inspect(id) {
            Verdict::LookAgain(at) => at,
            Verdict::Kill => {
                // It fails only if the process is already gone.
                let _ = child.start_kill();
                break child.wait().await;
            }
            Verdict::Stop => break stop(&pool, &mut child).await,
        };
        tokio::select! {
            status = child.wait() => break status,
            () = retire.cancelled() => break stop(&pool, &mut child).await,
            () = tokio::time::sleep_until(again) => {}
        }
    };
    // The last words of a process belong before the news of its end; a grandchild may hold the pipe open.
    let _ = tokio::time::timeout(pool.options.stop_grace, output).await;
    match status {
        Ok(status) => pool.exited(id, status),
        Err(problem) => pool.not_spawned(id, &problem),
    }
}

fn command(pool: &Pool, id: u64) -> Command {
    let function = &pool.function;
    let mut command = Command::new(&function.binary);
    command
        .env_clear()
        .envs(&function.environment)
        .envs(&pool.options.extra_env)
        .env("AWS_LAMBDA_LOG_STREAM_NAME", format!("[$LATEST]{id}"))
        // The scheme is required: the Rust runtime takes a path only in a whole URL.
        .env("AWS_LAMBDA_RUNTIME_API", format!("{}/{}/{id}", pool.runtime_api, function.name))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // Ctrl-C in the terminal is for the host, which ends its processes itself.
        .process_group(0);
    command
}

async fn read(pool: Arc<Pool>, id: u64, stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) {
    let (name, sink) = (&pool.function.name, &pool.options.logs);
    let stdout = async {
        if let Some(stream) = stdout {
            follow(stream, name, id, sink).await;
        }
    };
    let stderr = async {
        if let Some(stream) = stderr {
            follow(stream, name, id, sink).await;
        }
    };
    tokio::join!(stdout, stderr);
}

/// Whether the process has ended, though its keeper may not have noticed yet. One system call, and it reaps nothing.
pub(crate) fn is_gone(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return true };
    let ended =
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT);
    match ended {
        Ok(status) => status.is_some(),
        Err(error) => error == Errno::CHILD,
    }
}

/// SIGTERM, then SIGKILL when the grace is over.
async fn stop(pool: &Pool, child: &mut Child) -> std::io::Result<ExitStatus> {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It fails only if the process is already gone.
        let _ = kill_process(pid, Signal::TERM);
    }
    match tokio::time::timeout(pool.options.stop_grace, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            let _ = child.start_kill();
            child.wait().await
        }
    }
}
