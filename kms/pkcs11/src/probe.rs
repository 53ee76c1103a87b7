//! Whether a key works, where a token says of a call only that it failed.
//!
//! Many tokens answer a wrong tag like that, and also every call while they are out of order. A probe tells which: it
//! encrypts something under the key and decrypts it. Anybody can send payloads with wrong tags, and an HSM is slow. So a key
//! is probed once a minute. In between, the last answer counts while the token is there. It may be outdated, and the caller
//! learns that.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

const PAUSE: Duration = Duration::from_mins(1);

/// The last answers of a token's keys, by label and id: each version of a key is an object of its own.
#[derive(Debug, Default)]
pub(super) struct Probes(Mutex<BTreeMap<Name, Answer>>);

type Name = (Vec<u8>, Vec<u8>);

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It works: it was used after the call that failed.
    Works,
    /// It worked within the last minute, and its token is there.
    Worked,
    /// It does not work.
    Fails,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    at: Instant,
    works: bool,
}

impl Probes {
    /// Whether the key that has `label` and `id` works. `probe` finds out and uses the key; `is_there` asks for the token
    /// without the key.
    pub(super) fn ask(
        &self,
        (label, id): (&[u8], &[u8]),
        now: Instant,
        probe: impl FnOnce() -> bool,
        is_there: impl FnOnce() -> bool,
    ) -> Verdict {
        let key = (label.to_vec(), id.to_vec());
        // Held during the probe: calls that fail together share it.
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

    /// Takes note that the key did its work after a probe that failed.
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
