//! A part of a history with some hundreds of payloads, which are decoded together.

use std::fmt;

use indicatif::ProgressBar;
use temporal_kms_codec::{Codec, Error, Payload, PayloadError};
use temporal_kms_codec_proto::json::{FoundAt, Part, parse_payload, write_payload};
use zeroize::{Zeroize as _, Zeroizing};

use super::super::super::{
    exit::{Failure, Status},
    payload_file::{MAX_OBJECT, PayloadFile},
    wanted::explain,
};

const MOST_PAYLOADS: usize = 256;
const MOST_BYTES: usize = 1 << 20;

/// Parts that are decoded together.
#[derive(Default)]
pub(super) struct Batch {
    parts: Vec<Part>,
    payloads: usize,
    bytes: usize,
}

/// What becomes of a batch.
pub(super) struct Decoded {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) complaints: Vec<Complaint>,
    pub(super) payloads: u64,
}

/// A payload that stays as it is.
pub(super) struct Complaint {
    at: Option<FoundAt>,
    pub(super) status: Status,
    message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(FoundAt { path, .. }) if path.is_empty() => f.write_str("the payload")?,
            Some(FoundAt { path, event_id, .. }) => {
                if let Some(id) = event_id {
                    write!(f, "event {id}, ")?;
                }
                f.write_str(path)?;
            }
            None => f.write_str("an object")?,
        }
        write!(f, ": {}", self.message)
    }
}

/// Reads a file in batches.
pub(super) fn batches(
    file: PayloadFile,
    progress: &ProgressBar,
    mut each: impl FnMut(Batch) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut batch = Batch::default();
    file.read(progress, |parts| {
        for part in parts {
            batch.add(part);
            if batch.is_full() {
                each(std::mem::take(&mut batch))?;
            }
        }
        Ok(())
    })?;
    each(batch)
}

impl Batch {
    fn add(&mut self, part: Part) {
        match &part {
            Part::Payload { json, .. } => {
                self.payloads += 1;
                self.bytes += json.len();
            }
            Part::Text(text) => self.bytes += text.len(),
            _ => {}
        }
        self.parts.push(part);
    }

    fn is_full(&self) -> bool {
        self.payloads >= MOST_PAYLOADS || self.bytes >= MOST_BYTES
    }

    pub(super) async fn decode(self, codec: &Codec) -> Decoded {
        let parsed: Vec<_> = self
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Payload { json, .. } => Some(parse_payload(json)),
                _ => None,
            })
            .collect();
        let readable: Vec<Payload> = parsed.iter().flatten().cloned().collect();
        let results = decode_all(codec, readable).await;
        let mut results = results.into_iter();
        let mut parsed = parsed.into_iter();

        let mut decoded = Decoded {
            bytes: Zeroizing::new(Vec::with_capacity(self.bytes)),
            complaints: Vec::new(),
            payloads: self.payloads as u64,
        };
        for part in self.parts {
            match part {
                Part::Text(text) => decoded.bytes.extend_from_slice(&text),
                Part::Payload { json, at } => {
                    let result = match parsed.next() {
                        Some(Ok(old)) => results.next().map(|result| (old, result)),
                        Some(Err(error)) => {
                            decoded.complain(Some(at.clone()), Status::Data, error.to_string());
                            None
                        }
                        None => None,
                    };
                    match result {
                        // A payload that did not change keeps its spelling.
                        Some((old, Ok(new))) if old != new => decoded.write(new),
                        Some((old, Err(error))) => {
                            let message = explain(&error, &old, codec.namespace());
                            decoded.complain(Some(at), Status::of(&error), message);
                            decoded.bytes.extend_from_slice(&json);
                        }
                        _ => decoded.bytes.extend_from_slice(&json),
                    }
                }
                _ => decoded.complain(
                    None,
                    Status::Data,
                    format!(
                        "it begins like a payload and has more than {} MiB; it was left as it is",
                        MAX_OBJECT >> 20
                    ),
                ),
            }
        }
        decoded
    }
}

/// Decodes payloads. Those that were not tried because of others beside them are tried again, each alone. A history of the
/// person who runs the command may become as large as memory allows.
async fn decode_all(codec: &Codec, payloads: Vec<Payload>) -> Vec<Result<Payload, Error>> {
    let decoder = codec.decoder().with_max_decompressed_total(usize::MAX);
    let mut results = decoder.decode_each(payloads.clone()).await;
    for (result, payload) in results.iter_mut().zip(payloads) {
        if matches!(result, Err(Error::Payload(PayloadError::NotTried))) {
            *result = codec.decoder().decode(payload).await;
        }
    }
    results
}

impl Decoded {
    fn write(&mut self, mut payload: Payload) {
        let json = Zeroizing::new(write_payload(&payload));
        self.bytes.extend_from_slice(&json);
        payload.data.zeroize();
    }

    fn complain(&mut self, at: Option<FoundAt>, status: Status, message: String) {
        self.complaints.push(Complaint {
            at,
            status,
            message,
        });
    }
}
