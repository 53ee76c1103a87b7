//! A limit on heavy programs that run at the same time, for machines with many cores: each core runs a test.

use std::sync::{Condvar, Mutex, PoisonError};

/// A number of places. A test that holds one must not wait for another one.
#[derive(Debug)]
pub(crate) struct Places {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A place that is taken until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(&'static Places);

impl Places {
    pub(crate) const fn new(count: usize) -> Self {
        Self {
            free: Mutex::new(count),
            freed: Condvar::new(),
        }
    }

    /// Waits for a place.
    pub(crate) fn take(&'static self) -> Place {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .freed
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Place(self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = self.0;
        *places.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        places.freed.notify_one();
    }
}
