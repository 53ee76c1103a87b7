//! Reading and writing: one test for each leniency and each refusal, and property tests for the rest.

use super::*;
use crate::Payload;

mod accepted;
mod document;
mod properties;
mod refused;
mod stream;

const LIMITS: Limits = Limits { max_payloads: 3 };

fn parse(body: &str) -> Result<Vec<Payload>, JsonError> {
    parse_payloads(body.as_bytes(), &LIMITS).map(|payloads| payloads.payloads)
}

fn payload(metadata: &[(&str, &[u8])], data: &[u8]) -> Payload {
    Payload {
        metadata: metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.to_vec()))
            .collect(),
        data: data.to_vec(),
        external_payloads: vec![],
    }
}
