//! Initializes a library again while other threads use it.
//!
//! Some libraries notice added and removed tokens only when they are finalized and initialized. That ends every session
//! of the process, and must not happen during any other call (PKCS #11 v3.1, section 5.4). So calls pass a gate. The
//! gate closes, the calls in progress end, the library is initialized, and the gate opens for the next generation of
//! sessions.

use std::time::Duration;

use parking_lot::{Mutex, RwLock, RwLockReadGuard};

/// How long to wait for calls in progress. One of them may hang, so after this time the library is not initialized
/// again.
const DRAIN: Duration = Duration::from_secs(1);

/// The gate that every call of one library passes.
#[derive(Default)]
pub(super) struct Gate {
    generation: RwLock<Generation>,
    restarting: Mutex<()>,
}

/// The initialization of the library that a session belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Generation(u64);

/// A passage through the gate. It keeps the library from being initialized again.
pub(super) type Passed<'a> = RwLockReadGuard<'a, Generation>;

impl Gate {
    /// Waits while the library is initialized. A thread that holds the returned value must not call this again.
    pub(super) fn pass(&self) -> Passed<'_> {
        self.generation.read()
    }

    /// As [`pass`](Self::pass), without waiting.
    pub(super) fn try_pass(&self) -> Option<Passed<'_>> {
        self.generation.try_read()
    }

    /// Initializes the library with `initialize` once no call is in progress, if `permitted`. Returns whether a call
    /// that failed in generation `failed` may succeed now. This is also true if another thread initialized the library
    /// meanwhile.
    pub(super) fn restart(
        &self,
        failed: Generation,
        permitted: impl FnOnce() -> bool,
        initialize: impl FnOnce() -> bool,
    ) -> bool {
        let _restarting = self.restarting.lock();
        if *self.pass() != failed {
            return true;
        }
        if !permitted() {
            return false;
        }
        let Some(mut generation) = self.generation.try_write_for(DRAIN) else {
            tracing::warn!(
                "the PKCS#11 module is not initialized again: a call of it does not end"
            );
            return false;
        };
        generation.0 += 1;
        initialize()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    use super::*;

    #[test]
    fn threads_that_fail_together_restart_once_while_no_call_is_in_progress() {
        let gate = Arc::new(Gate::default());
        let [calls, restarts] = [0, 0].map(|_| Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (gate, calls, restarts) = (gate.clone(), calls.clone(), restarts.clone());
                thread::spawn(move || {
                    let failed = {
                        let generation = gate.pass();
                        calls.fetch_add(1, Ordering::SeqCst);
                        thread::yield_now();
                        calls.fetch_sub(1, Ordering::SeqCst);
                        *generation
                    };
                    if failed != Generation::default() {
                        return true;
                    }
                    gate.restart(
                        failed,
                        || true,
                        || {
                            assert_eq!(calls.load(Ordering::SeqCst), 0);
                            restarts.fetch_add(1, Ordering::SeqCst);
                            true
                        },
                    )
                })
            })
            .collect();
        for thread in threads {
            assert!(thread.join().unwrap());
        }
        assert_eq!(restarts.load(Ordering::SeqCst), 1);
        assert_eq!(*gate.pass(), Generation(1));
    }

    #[test]
    fn a_call_that_hangs_keeps_the_library_as_it_is() {
        let gate = Gate::default();
        let failed = *gate.pass();
        let hung = gate.pass();
        assert!(!gate.restart(failed, || true, || panic!("during a call")));
        drop(hung);
        assert!(!gate.restart(failed, || false, || panic!("not permitted")));
        assert_eq!(*gate.pass(), failed);
    }
}
