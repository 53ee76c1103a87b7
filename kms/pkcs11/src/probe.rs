//! Finds out whether a key works, when a token only reports that a call failed.
//!
//! Many tokens report a wrong tag in this way, and also every call while they are out of order. A probe distinguishes
//! the two: it encrypts something under the key and decrypts it. Attackers can send payloads with wrong tags, and an
//! HSM is slow, so a key is probed at most once a minute. In between, the last result counts while the token is
//! present. It may be outdated, and the caller is told so.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

const PAUSE: Duration = Duration::from_mins(1);

/// The last results of a token's keys, by label and id. Each version of a key is a separate object.
#[derive(Debug, Default)]
pub(super) struct Probes(Mutex<BTreeMap<Name, Answer>>);

type Name = (Vec<u8>, Vec<u8>);

/// What is known about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The key works. It was used after the call that failed.
    Works,
    /// The key worked within the last minute, and its token is present.
    Worked,
    /// The key does not work.
    Fails,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    at: Instant,
    works: bool,
}

impl Probes {
    /// Whether the key with `label` and `id` works. `probe` uses the key. `is_there` only checks that the token is
    /// present.
    pub(super) fn ask(
        &self,
        (label, id): (&[u8], &[u8]),
        now: Instant,
        probe: impl FnOnce() -> bool,
        is_there: impl FnOnce() -> bool,
    ) -> Verdict {
        let key = (label.to_vec(), id.to_vec());
        // Locked during the probe, so that calls that fail together share one probe.
        let mut answers = self.0.lock();
        if let Some(answer) = answers.get(&key)
            && now.saturating_duration_since(answer.at) < PAUSE
        {
            return if answer.works && is_there() {
                Verdict::Worked
            } else {
                Verdict::Fails
            };
        }
        let works = probe();
        answers.insert(key, Answer { at: now, works });
        if works {
            Verdict::Works
        } else {
            Verdict::Fails
        }
    }

    /// Records that the key worked again after a failed probe.
    pub(super) fn worked(&self, (label, id): (&[u8], &[u8])) {
        let key = (label.to_vec(), id.to_vec());
        if let Some(answer) = self.0.lock().get_mut(&key) {
            answer.works = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const KEY: (&[u8], &[u8]) = (b"k", b"1");

    #[test]
    fn a_thousand_wrong_tags_cost_one_probe_a_minute() {
        let probes = Probes::default();
        let start = tokio::time::Instant::now().into_std();
        let count = Cell::new(0);
        // Ten a second.
        for tenth in 0..1000 {
            let now = start + Duration::from_millis(100) * tenth;
            let probe = || {
                count.set(count.get() + 1);
                true
            };
            assert_ne!(probes.ask(KEY, now, probe, || true), Verdict::Fails);
        }
        assert_eq!(count.get(), 2, "in 100 seconds");
    }

    #[test]
    fn each_version_of_a_key_is_probed_for_itself() {
        let probes = Probes::default();
        let now = tokio::time::Instant::now().into_std();
        assert_eq!(probes.ask(KEY, now, || true, || true), Verdict::Works);
        for other in [(&b"k"[..], &b"2"[..]), (b"l", b"1"), (b"k1", b"")] {
            let verdict = probes.ask(other, now, || false, || true);
            assert_eq!(verdict, Verdict::Fails, "{other:?}");
        }
    }

    #[test]
    fn between_probes_the_last_answer_counts_while_the_token_is_there() {
        let probes = Probes::default();
        let now = tokio::time::Instant::now().into_std();
        let unasked = || panic!("probed twice in a minute");
        let unneeded = || panic!("not needed");
        assert_eq!(probes.ask(KEY, now, || true, unneeded), Verdict::Works);
        assert_eq!(probes.ask(KEY, now, unasked, || true), Verdict::Worked);
        assert_eq!(probes.ask(KEY, now, unasked, || false), Verdict::Fails);

        let later = now + PAUSE;
        assert_eq!(probes.ask(KEY, later, || false, || true), Verdict::Fails);
        assert_eq!(probes.ask(KEY, later, unasked, || true), Verdict::Fails);
        probes.worked(KEY);
        assert_eq!(probes.ask(KEY, later, unasked, || true), Verdict::Worked);
    }
}
