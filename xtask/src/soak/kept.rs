//! Values that are kept out of many: some are old, and some are new.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// At most so many values. Once they are full, a new value replaces a random one.
pub(super) struct Kept<T> {
    values: VecDeque<T>,
    most: usize,
    seed: u32,
    /// The values so far.
    seen: u64,
}

impl<T> Kept<T> {
    pub(super) fn new(most: usize, seed: u32) -> Self {
        Self {
            values: VecDeque::new(),
            most,
            seed,
            seen: 0,
        }
    }

    pub(super) fn push(&mut self, value: T) {
        self.seen += 1;
        if self.values.len() < self.most {
            return self.values.push_back(value);
        }
        let index = self.random() % self.values.len().max(1);
        if let Some(place) = self.values.get_mut(index) {
            *place = value;
        }
    }

    /// The next value. Each has its turn.
    pub(super) fn turn(&mut self) -> Option<&T> {
        let value = self.values.pop_front()?;
        self.values.push_back(value);
        self.values.back()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.values.iter()
    }

    /// A number that follows from the seed, so that a run can be repeated.
    fn random(&self) -> usize {
        let mut hasher = DefaultHasher::new();
        (self.seed, self.seen).hash(&mut hasher);
        usize::try_from(hasher.finish() >> 32).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_values_are_kept() {
        const MOST: usize = 48;

        for seed in 0..4 {
            let mut kept = Kept::new(MOST, seed);
            for value in 0..200 {
                kept.push(value);
            }
            let kept: Vec<i32> = kept.iter().copied().collect();
            assert_eq!(kept.len(), MOST);
            let of_the_last_tenth = kept.iter().filter(|value| **value >= 180).count();
            assert!(of_the_last_tenth > 5, "{kept:?}");
            let of_the_first_half = kept.iter().filter(|value| **value < 100).count();
            assert!(of_the_first_half > 0, "{kept:?}");
        }
    }

    #[test]
    fn each_value_has_its_turn() {
        let mut kept = Kept::new(3, 0);
        assert_eq!(kept.turn(), None);
        kept.push('a');
        kept.push('b');
        let turns: Vec<char> = (0..4).filter_map(|_| kept.turn().copied()).collect();
        assert_eq!(turns, ['a', 'b', 'a', 'b']);
    }
}
