//! Whether a key works, where a token says no more of a call than that it failed.
//!
//! Many tokens answer a wrong tag like that, and also every call while they are out of order. A probe tells which: it
//! encrypts something under the key and decrypts it. Anybody can send payloads with wrong tags, and an HSM is slow. So a key
//! is count once a minute; in between, the last answer counts while the token is there.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

const PAUSE: Duration = Duration::from_mins(1);

/// The last answers of a token's keys, by their names.
#[derive(Debug, Default)]
pub(super) struct Probes(Mutex<BTreeMap<Vec<u8>, Answer>>);

#[derive(Clone, Copy, Debug)]
struct Answer {
    at: Instant,
    works: bool,
}

impl Probes {
    /// Whether the key works. `probe` finds out and uses the key; `is_there` asks for the token without the key.
    pub(super) fn works(
        &self,
        key: &[u8],
        now: Instant,
        probe: impl FnOnce() -> bool,
        is_there: impl FnOnce() -> bool,
    ) -> bool {
        // Held during the probe: calls that fail together share it.
        let mut answers = self.0.lock();
        if let Some(answer) = answers.get(key)
            && now.saturating_duration_since(answer.at) < PAUSE
        {
            return answer.works && is_there();
        }
        let works = probe();
        answers.insert(key.to_vec(), Answer { at: now, works });
        works
    }

    /// Takes note that the key did its work after a probe that failed.
    pub(super) fn worked(&self, key: &[u8]) {
        if let Some(answer) = self.0.lock().get_mut(key) {
            answer.works = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const KEY: &[u8] = b"k";

    #[test]
    fn a_thousand_wrong_tags_cost_one_probe_a_minute() {
        let probes = Probes::default();
        let start = Instant::now();
        let count = Cell::new(0);
        // Ten a second.
        for tenth in 0..1000 {
            let now = start + Duration::from_millis(100) * tenth;
            let probe = || {
                count.set(count.get() + 1);
                true
            };
            assert!(probes.works(KEY, now, probe, || true));
        }
        assert_eq!(count.get(), 2, "in 100 seconds");
        assert!(!probes.works(b"another key", start, || false, || true));
    }

    #[test]
    fn between_probes_the_last_answer_counts_while_the_token_is_there() {
        let probes = Probes::default();
        let now = Instant::now();
        let unasked = || panic!("probed twice in a minute");
        assert!(probes.works(KEY, now, || true, || panic!("not needed")));
        assert!(probes.works(KEY, now, unasked, || true));
        assert!(!probes.works(KEY, now, unasked, || false));

        let later = now + PAUSE;
        assert!(!probes.works(KEY, later, || false, || true));
        assert!(!probes.works(KEY, later, unasked, || true));
        probes.worked(KEY);
        assert!(probes.works(KEY, later, unasked, || true));
    }
}
