//! Which processes run now, so that all of them can be ended from another thread.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

static RUNNING: Mutex<Registry> = Mutex::new(Registry {
    closed: false,
    processes: Vec::new(),
});

struct Registry {
    closed: bool,
    processes: Vec<u32>,
}

/// Asks every running process of this program to end, and lets none start any more.
///
/// The code that waits for a process sees that it ended, drops its values, and so ends the descendants too.
pub fn close() {
    let mut registry = registry();
    registry.closed = true;
    for id in &registry.processes {
        let _ = kill(pid(*id), Signal::SIGTERM);
    }
}

/// Runs `spawn`, which starts a process and returns its id with it, unless everything is closed.
pub(crate) fn register<T>(spawn: impl FnOnce() -> std::io::Result<(u32, T)>) -> std::io::Result<T> {
    let mut registry = registry();
    if registry.closed {
        return Err(std::io::Error::other("everything is being stopped"));
    }
    let (id, value) = spawn()?;
    registry.processes.push(id);
    Ok(value)
}

pub(crate) fn forget(id: u32) {
    registry().processes.retain(|running| *running != id);
}

pub(crate) fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).unwrap_or(i32::MAX))
}

fn registry() -> MutexGuard<'static, Registry> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
