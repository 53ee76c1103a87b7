//! A limit of the memory that many owners take together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Bytes that many owners may take together. Clones share them.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<AtomicUsize>);

impl MemoryBudget {
    /// Nothing of it is taken yet.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// The bytes that are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes bytes until the value that is returned is dropped. `None` when fewer are left.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Option<TakenMemory> {
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        taken.ok().map(|_| TakenMemory {
            budget: self.clone(),
            bytes,
        })
    }
}

/// Bytes of a [`MemoryBudget`]. They are given back on drop.
#[derive(Debug)]
pub struct TakenMemory {
    budget: MemoryBudget,
    bytes: usize,
}

impl Drop for TakenMemory {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_budget_is_taken_at_a_time() {
        let budget = MemoryBudget::new(10);
        let first = budget.take(7).unwrap();
        assert!(budget.clone().take(4).is_none());
        let second = budget.take(3).unwrap();
        assert_eq!(budget.left(), 0);
        drop(first);
        assert_eq!(budget.left(), 7);
        drop(second);
        assert!(budget.take(11).is_none());
        assert!(budget.take(10).is_some());
        assert_eq!(budget.left(), 10);
    }
}
