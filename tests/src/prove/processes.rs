//! The processes of a stack's functions, and the sudden death of one. Only a child of the stack's own process is ever
//! touched.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// A function's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// Its id.
    pub(super) pid: u32,
    /// Its binary's name.
    pub(super) function: String,
}

/// Every child of `parent`.
pub(super) fn children(parent: u32) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| child(pid, parent)).collect()
}

/// The child of `parent` that holds the other end of a connection from its port `from` to our port `to`.
pub(super) fn caller(parent: u32, from: u16, to: u16) -> Option<Process> {
    let inode = inode(from, to)?;
    let socket = format!("socket:[{inode}]");
    children(parent).into_iter().find(|process| {
        let Ok(files) = fs::read_dir(format!("/proc/{}/fd", process.pid)) else { return false };
        files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == &*socket))
    })
}

/// Kills it as the kernel would: no word, no cleaning up. False if it was gone already.
pub(super) fn kill(parent: u32, victim: &Process) -> bool {
    if child(victim.pid, parent).as_ref() != Some(victim) {
        return false;
    }
    let pid = i32::try_from(victim.pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
}

/// The process `pid`, if it is a child of `parent`'s.
fn child(pid: u32, parent: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; state and parent follow it.
    let of = stat.rsplit_once(") ")?.1.split(' ').nth(1)?;
    if of.parse() != Ok(parent) {
        return None;
    }
    let binary = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let function = Path::new(&binary).file_name()?.to_str()?;
    // What a build replaced meanwhile still runs.
    let function = function.trim_end_matches(" (deleted)").to_owned();
    Some(Process { pid, function })
}

/// The socket of the connection, in the kernel's table of the side that dialled.
fn inode(from: u16, to: u16) -> Option<u64> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let is_it = port(fields.get(1)?)? == from && port(fields.get(2)?)? == to;
        if is_it { fields.get(9)?.parse().ok() } else { None }
    })
}
