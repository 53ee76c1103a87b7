//! Which session a handle of a module belongs to.

use std::{collections::BTreeMap, ffi::c_ulong};

use parking_lot::Mutex;

/// The open sessions of a module. A restarted token counts its handles from the beginning, so the handle of an ended
/// session can belong to another session, also to one of keys with other settings.
#[derive(Default)]
pub(super) struct Handles(Mutex<Owners>);

#[derive(Default)]
struct Owners {
    numbers: BTreeMap<c_ulong, u64>,
    opened: u64,
}

impl Handles {
    /// Registers a new session. Returns its number, which no other session has.
    pub(super) fn register(&self, handle: c_ulong) -> u64 {
        let mut owners = self.0.lock();
        owners.opened += 1;
        let number = owners.opened;
        owners.numbers.insert(handle, number);
        number
    }

    /// Whether the handle still belongs to the session with this number.
    pub(super) fn belongs(&self, handle: c_ulong, number: u64) -> bool {
        self.0.lock().numbers.get(&handle) == Some(&number)
    }

    /// Removes a session before it is closed. `false` if it has ended already, and its handle must not be closed.
    pub(super) fn remove(&self, handle: c_ulong, number: u64) -> bool {
        let mut owners = self.0.lock();
        let is_open = owners.numbers.get(&handle) == Some(&number);
        if is_open {
            owners.numbers.remove(&handle);
        }
        is_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_belongs_to_the_last_session_that_got_it() {
        let handles = Handles::default();
        let (first, other) = (handles.register(1), handles.register(2));
        assert!(handles.belongs(1, first) && handles.belongs(2, other));
        assert!(!handles.belongs(2, first));
        // The token was restarted, and another pool opened a session.
        let next = handles.register(1);
        assert!(!handles.belongs(1, first) && !handles.remove(1, first));
        assert!(handles.belongs(1, next) && handles.remove(1, next));
        assert!(!handles.belongs(1, next) && !handles.remove(1, next));
        assert!(handles.belongs(2, other));
    }
}
