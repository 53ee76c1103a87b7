//! What waits to be written.
//!
//! Waking the thread that writes takes longer than writing a line. So an entry may wait for those of other requests before
//! [`wake`](Queue::wake) is called.

use std::{fmt, mem, sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

/// What may wait. More means that the disk hangs.
const MOST_WAITING: usize = 32 << 20;

/// Told whether a line was written.
pub(crate) type Reply = oneshot::Sender<Result<(), Arc<str>>>;

/// The inside of a line, and who waits for it.
pub(crate) struct Entry {
    pub(crate) body: Vec<u8>,
    pub(crate) reply: Option<Reply>,
    /// The chain that it is about. In another one, it would be wrong.
    pub(crate) chain: Option<u64>,
}

/// What waits to be written.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    entries: Vec<Entry>,
    bytes: usize,
    is_closed: bool,
}

/// Why an entry was not taken.
pub(crate) enum NotTaken {
    Closed,
    Full,
}

/// Has everything written that waits, at the latest when it is dropped.
#[derive(Debug)]
pub(crate) struct WakeOnDrop(pub(crate) Arc<Queue>);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl Queue {
    /// Adds an entry, which waits until [`wake`](Self::wake) is called.
    pub(crate) fn push(&self, entry: Entry) -> Result<(), NotTaken> {
        self.push_within(entry, MOST_WAITING)
    }

    /// As [`push`](Self::push), where less may wait, so that there is room for others.
    pub(crate) fn offer(&self, entry: Entry) -> Result<(), NotTaken> {
        self.push_within(entry, MOST_WAITING / 2)
    }

    fn push_within(&self, entry: Entry, most: usize) -> Result<(), NotTaken> {
        let mut waiting = self.state.lock();
        if waiting.is_closed {
            return Err(NotTaken::Closed);
        }
        if waiting.bytes > most {
            return Err(NotTaken::Full);
        }
        waiting.bytes += entry.body.len();
        waiting.entries.push(entry);
        Ok(())
    }

    /// Has everything written that waits.
    pub(crate) fn wake(&self) {
        if !self.state.lock().entries.is_empty() {
            self.wake.notify_one();
        }
    }

    /// No entry is taken any more. Those that wait are written.
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.wake.notify_one();
    }

    /// Everything that waits; nothing when `limit` is over first. The flag says whether the queue is closed.
    pub(crate) fn take(&self, limit: Option<Duration>) -> (Vec<Entry>, bool) {
        let mut waiting = self.state.lock();
        while waiting.entries.is_empty() && !waiting.is_closed {
            match limit {
                None => self.wake.wait(&mut waiting),
                Some(limit) => {
                    if self.wake.wait_for(&mut waiting, limit).timed_out() {
                        break;
                    }
                }
            }
        }
        waiting.bytes = 0;
        (mem::take(&mut waiting.entries), waiting.is_closed)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_may_be_left_out_leave_room_for_others() {
        let entry = |bytes: usize| Entry {
            body: vec![b'x'; bytes],
            reply: None,
            chain: None,
        };
        let queue = Queue::default();
        assert!(queue.offer(entry(MOST_WAITING / 2 + 1)).is_ok());
        assert!(matches!(queue.offer(entry(1)), Err(NotTaken::Full)));
        assert!(queue.push(entry(1)).is_ok());
        queue.take(None);
        assert!(queue.offer(entry(1)).is_ok());
    }
}
