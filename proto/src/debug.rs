//! `Debug` that shows the kind and the size of a payload, but never its bytes. A payload in a log line or a panic
//! message may be a credential.

use std::fmt;

use crate::{Payload, Payloads, payload::ExternalPayloadDetails};

/// Longer than any encoding that an SDK writes. A longer one is cut, to keep logs readable.
const MAX_SHOWN_ENCODING: usize = 64;

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoding = self.metadata.get("encoding").map(|value| {
            let shown = value.get(..MAX_SHOWN_ENCODING).unwrap_or(value);
            String::from_utf8_lossy(shown)
        });
        f.debug_struct("Payload")
            .field("encoding", &encoding)
            .field("data_bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Payloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payloads")
            .field("payloads", &self.payloads)
            .finish()
    }
}

impl fmt::Debug for ExternalPayloadDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalPayloadDetails")
            .field("size_bytes", &self.size_bytes)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_payload_byte() {
        let payload = Payload {
            metadata: [
                ("encoding".to_owned(), b"json/plain".to_vec()),
                ("note".to_owned(), b"sk-secret-in-metadata".to_vec()),
            ]
            .into(),
            data: b"\"sk-secret\"".to_vec(),
            external_payloads: vec![],
        };
        let shown = format!(
            "{:?}",
            Payloads {
                payloads: vec![payload]
            }
        );
        assert!(
            shown.contains("json/plain") && shown.contains("data_bytes: 11"),
            "{shown}"
        );
        assert!(!shown.contains("sk-secret"), "{shown}");
    }
}
