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

    /// As [`take`](Self::take). When fewer bytes are left, `release` gives some back first.
    #[must_use]
    pub fn take_after(&self, bytes: usize, release: impl FnOnce()) -> Option<TakenMemory> {
        self.take(bytes).or_else(|| {
            release();
            self.take(bytes)
        })
    }
}

/// Roughly the memory of maps with so many entries together. `content` is the bytes of their names and values.
#[must_use]
pub const fn footprint_of_maps(maps: usize, entries: usize, content: usize) -> usize {
    /// The place of an entry in its map, and two allocations.
    const ENTRY: usize = 128;
    /// The first node of a map, and what holds the map.
    const MAP: usize = 1 << 10;

    content
        .saturating_add(entries.saturating_mul(ENTRY))
        .saturating_add(maps.saturating_mul(MAP))
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

    #[test]
    fn what_is_released_can_be_taken() {
        let budget = MemoryBudget::new(10);
        let mut last = budget.take_after(7, || unreachable!("enough is left"));
        let next = budget.take_after(8, || last = None);
        assert!(next.is_some() && last.is_none());
        assert!(budget.take_after(3, || {}).is_none());
        assert_eq!(budget.left(), 2);
    }

    #[test]
    fn maps_of_any_size_have_a_footprint() {
        assert_eq!(footprint_of_maps(2, 3, 5), 2048 + 3 * 128 + 5);
        assert_eq!(footprint_of_maps(1, usize::MAX, 1), usize::MAX);
    }
}
