//! A client of the codec server: it encodes, decodes what it has just encoded, and decodes what it encoded before.

use std::{
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use ureq::Agent;

use super::{
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
    agent: Agent,
    url: String,
    number: u32,
    round: u64,
    kept: Kept<Body>,
}

/// What was encoded, and what was made of it.
#[derive(Clone)]
struct Body {
    plain: Value,
    sealed: Vec<u8>,
}

impl Client {
    pub(super) fn new(url: &str, number: u32) -> Self {
        let agent = Agent::config_builder().http_status_as_error(false).build();
        Self {
            agent: agent.into(),
            url: url.to_owned(),
            number,
            round: 0,
            kept: Kept::new(MOST_KEPT, number),
        }
    }

    /// Encodes a body, decodes it again, and decodes an older one.
    pub(super) fn round(&mut self, shared: &Shared) {
        self.round += 1;
        let plain = self.body();
        let started = Instant::now();
        let sealed = self.post("encode", plain.to_string().as_bytes());
        shared.note(Operation::Encode, started, Outcome::of(sealed.is_some()));
        if let Some(sealed) = sealed {
            let body = Body { plain, sealed };
            let started = Instant::now();
            let outcome = self.decode(&body);
            shared.note(Operation::DecodeNew, started, outcome);
            if self.round % KEPT_OF == 1 {
                self.kept.push(body);
            }
        }
        if let Some(body) = self.kept.turn().cloned() {
            let started = Instant::now();
            let outcome = self.decode(&body);
            shared.note(Operation::DecodeOld, started, outcome);
        }
        thread::sleep(REST);
    }

    /// Decodes everything that was kept, and counts what does not come back. The key service works again.
    pub(super) fn lost(self) -> usize {
        let comes_back = |body: &Body| {
            (0..TRIES).any(|_| {
                let outcome = self.decode(body);
                if outcome == Outcome::Failed {
                    thread::sleep(Duration::from_millis(100));
                }
                outcome == Outcome::Done
            })
        };
        self.kept.iter().filter(|body| !comes_back(body)).count()
    }

    fn decode(&self, body: &Body) -> Outcome {
        match self.post("decode", &body.sealed) {
            None => Outcome::Failed,
            Some(opened) => match serde_json::from_slice::<Value>(&opened) {
                Ok(opened) if opened == body.plain => Outcome::Done,
                _ => Outcome::Wrong,
            },
        }
    }

    /// The body of an answer with status 200.
    fn post(&self, operation: &str, body: &[u8]) -> Option<Vec<u8>> {
        const LONGEST: u64 = 16 << 20;

        let request = self.agent.post(format!("{}/{operation}", self.url));
        let request = request
            .header("Content-Type", "application/json")
            .header("X-Namespace", "default");
        let mut response = request.send(body).ok()?;
        let body = response
            .body_mut()
            .with_config()
            .limit(LONGEST)
            .read_to_vec()
            .ok()?;
        (response.status() == 200).then_some(body)
    }

    /// A body that no other round of any client has.
    fn body(&self) -> Value {
        let shape = usize::try_from(self.round).unwrap_or_default() % SHAPES.len();
        let (size, count) = SHAPES.get(shape).copied().unwrap_or((1, 1));
        let payloads: Vec<Value> = (0..count)
            .map(|payload| {
                let name = format!("{}-{}-{payload}", self.number, self.round);
                let text = format!("\"{name}{}\"", "x".repeat(size));
                json!({
                    "metadata": { "encoding": STANDARD.encode("json/plain") },
                    "data": STANDARD.encode(text),
                })
            })
            .collect();
        json!({ "payloads": payloads })
    }
}
