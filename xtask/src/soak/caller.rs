//! Calls of the codec server.

use std::time::Instant;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use ureq::Agent;

use super::tally::{Operation, Outcome, Shared};

/// Calls `/encode` and `/decode`.
pub(super) struct Caller {
    agent: Agent,
    url: String,
}

/// What was encoded, and what was made of it.
pub(super) struct Body {
    plain: Value,
    sealed: Vec<u8>,
}

impl Caller {
    pub(super) fn new(url: &str) -> Self {
        let agent = Agent::config_builder().http_status_as_error(false).build();
        Self {
            agent: agent.into(),
            url: url.to_owned(),
        }
    }

    /// Encodes a body, decodes it again, and notes both.
    pub(super) fn encode_and_decode(
        &self,
        shared: &Shared,
        plain: Value,
        [encode, decode]: [Operation; 2],
    ) -> Option<Body> {
        let started = Instant::now();
        let sealed = self.post("encode", plain.to_string().as_bytes());
        let outcome = sealed.as_ref().err().copied().unwrap_or(Outcome::Done);
        shared.note(encode, started, outcome);
        let sealed = sealed.ok()?;
        let body = Body { plain, sealed };
        self.decode_and_note(shared, &body, decode);
        Some(body)
    }

    pub(super) fn decode_and_note(&self, shared: &Shared, body: &Body, operation: Operation) {
        let started = Instant::now();
        let outcome = self.decode(body);
        shared.note(operation, started, outcome);
    }

    pub(super) fn decode(&self, body: &Body) -> Outcome {
        match self.post("decode", &body.sealed) {
            Err(outcome) => outcome,
            Ok(opened) => match serde_json::from_slice::<Value>(&opened) {
                Ok(opened) if opened == body.plain => Outcome::Done,
                _ => Outcome::Wrong,
            },
        }
    }

    /// The body of an answer with status 200.
    fn post(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, Outcome> {
        const LONGEST: u64 = 16 << 20;

        let request = self.agent.post(format!("{}/{operation}", self.url));
        let request = request
            .header("Content-Type", "application/json")
            .header("X-Namespace", "default");
        let mut response = request.send(body).map_err(|_| Outcome::Failed(None))?;
        let body = response
            .body_mut()
            .with_config()
            .limit(LONGEST)
            .read_to_vec()
            .map_err(|_| Outcome::Failed(None))?;
        let may_be_repeated = response.headers().contains_key("Retry-After");
        match response.status().as_u16() {
            200 => Ok(body),
            429 if may_be_repeated => Err(Outcome::Busy),
            503 if may_be_repeated => Err(Outcome::Unavailable),
            status => Err(Outcome::Failed(Some(status))),
        }
    }
}

/// A body with `count` payloads of `size` bytes each, whose texts begin with `name`.
pub(super) fn body(name: &str, size: usize, count: usize) -> Value {
    let payloads: Vec<Value> = (0..count)
        .map(|payload| {
            let text = format!("\"{name}-{payload}{}\"", "x".repeat(size));
            json!({
                "metadata": { "encoding": STANDARD.encode("json/plain") },
                "data": STANDARD.encode(text),
            })
        })
        .collect();
    json!({ "payloads": payloads })
}
