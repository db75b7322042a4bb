//! One stack for one data folder. The kernel drops the lock with the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

/// Held as long as the stack is up.
#[derive(Debug)]
pub(crate) struct Lock(#[allow(dead_code, reason = "dropping it releases the lock")] File);

/// Why the data folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error(
        "another stack (process {holder}) is up on {folder}: stop it with Ctrl-C, or give this one a folder of its own \
         with --data, and ports with --port-base"
    )]
    Held { folder: String, holder: String },
    #[error("{folder} cannot be written: {error}")]
    Io { folder: String, error: std::io::Error },
}

/// Takes the data folder, creating it if need be.
pub(crate) fn take(folder: &Path) -> Result<Lock, LockError> {
    let name = || folder.display().to_string();
    let io = |error| LockError::Io { folder: name(), error };
    std::fs::create_dir_all(folder).map_err(io)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(folder.join("lock")).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(io)?;
            return Err(LockError::Held { folder: name(), holder: holder.trim().to_owned() });
        }
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    file.set_len(0).map_err(io)?;
    writeln!(file, "{}", std::process::id()).map_err(io)?;
    Ok(Lock(file))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_second_stack_is_told_who_holds_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = take(folder.path()).unwrap();
        let message = take(folder.path()).unwrap_err().to_string();
        assert!(message.contains(&std::process::id().to_string()) && message.contains("--data"), "{message}");
        drop(first);
        take(folder.path()).unwrap();
    }
}
