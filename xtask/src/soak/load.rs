//! A client of the codec server: it encodes, decodes what it has just encoded, and decodes what it encoded before.

use std::{thread, time::Duration};

use serde_json::Value;

use super::{
    caller::{Body, Caller, body},
    kept::Kept,
    tally::{Operation, Outcome, Shared},
};

/// Bodies that a client keeps to decode them later.
const MOST_KEPT: usize = 48;
/// One of so many bodies is kept, so that the kept ones have been sealed with many data keys.
const KEPT_OF: u64 = 40;
/// How long a client rests between two rounds.
const REST: Duration = Duration::from_millis(20);
/// How often a kept body is tried at the end. The circuit breaker is closed long before.
const TRIES: usize = 100;
/// The sizes of payloads, and how many payloads a request has.
const SHAPES: [(usize, usize); 5] = [
    (16, 1),
    (1 << 10, 1),
    (1 << 10, 20),
    (16 << 10, 4),
    (256 << 10, 1),
];

pub(super) struct Client {
    caller: Caller,
    number: u32,
    round: u64,
    kept: Kept<Body>,
}

impl Client {
    pub(super) fn new(url: &str, number: u32) -> Self {
        Self {
            caller: Caller::new(url),
            number,
            round: 0,
            kept: Kept::new(MOST_KEPT, number),
        }
    }

    /// Encodes a body, decodes it again, and decodes an older one.
    pub(super) fn round(&mut self, shared: &Shared) {
        self.round += 1;
        let operations = [Operation::Encode, Operation::DecodeNew];
        let encoded = self
            .caller
            .encode_and_decode(shared, self.body(), operations);
        if let Some(body) = encoded
            && self.round % KEPT_OF == 1
        {
            self.kept.push(body);
        }
        if let Some(body) = self.kept.turn() {
            self.caller
                .decode_and_note(shared, body, Operation::DecodeOld);
        }
        thread::sleep(REST);
    }

    /// Decodes everything that was kept, and counts what does not come back. The key service works again. `None` when the
    /// server has ended.
    pub(super) fn lost(&self, mut has_ended: impl FnMut() -> bool) -> Option<usize> {
        let mut lost = 0;
        for body in self.kept.iter() {
            let mut outcome = self.caller.decode(body);
            for _ in 1..TRIES {
                if matches!(outcome, Outcome::Done | Outcome::Wrong) {
                    break;
                }
                if has_ended() {
                    return None;
                }
                thread::sleep(Duration::from_millis(100));
                outcome = self.caller.decode(body);
            }
            lost += usize::from(outcome != Outcome::Done);
        }
        Some(lost)
    }

    /// A body that no other round of any client has.
    fn body(&self) -> Value {
        let shape = usize::try_from(self.round).unwrap_or_default() % SHAPES.len();
        let (size, count) = SHAPES.get(shape).copied().unwrap_or((1, 1));
        body(&format!("{}-{}", self.number, self.round), size, count)
    }
}
