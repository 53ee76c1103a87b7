//! Keeps keys and plaintext in memory away from core dumps and from other processes of the same user.

use nix::sys::{
    prctl,
    resource::{Resource, setrlimit},
};

/// Forbids core dumps and `ptrace` by processes without privileges. A failure is logged: the program can still run.
pub fn protect() {
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "cannot switch core dumps off; a crash may write keys and plaintext to disk");
    }
    if let Err(error) = prctl::set_dumpable(false) {
        tracing::warn!(%error, "cannot protect this process's memory from other processes of its user");
    }
}
