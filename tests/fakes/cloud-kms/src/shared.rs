//! What requests share.

use parking_lot::Mutex;

use crate::{Canned, Fault, journal::Journal, model::Store};

/// The state of one emulator.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Mutex<Store>,
    pub(crate) faults: Mutex<Vec<Fault>>,
    pub(crate) canned: Mutex<Option<Canned>>,
    pub(crate) journal: Mutex<Journal>,
}
