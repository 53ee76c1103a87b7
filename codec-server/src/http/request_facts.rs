//! What the audit log says of the payloads of a request.

use std::sync::OnceLock;

use temporal_kms_codec::SharedPayload;

use super::named_keys::named_keys;

/// The most keys of a request that the log names.
const MOST_KEYS: usize = 8;

/// The number of the payloads and the keys that they name, as soon as they are known.
#[derive(Debug, Default)]
pub(super) struct RequestFacts {
    pub(super) payloads: OnceLock<usize>,
    pub(super) keys: OnceLock<Vec<String>>,
}

impl RequestFacts {
    /// Notes the keys that payloads name, each once.
    pub(super) fn note_keys(&self, payloads: &[SharedPayload]) {
        let mut keys = Vec::new();
        let mut before = None;
        for payload in payloads {
            // The payloads of a request mostly have the same metadata.
            if before == Some(&payload.metadata) {
                continue;
            }
            before = Some(&payload.metadata);
            for key in named_keys(payload) {
                if keys.len() < MOST_KEYS && !keys.contains(&key) {
                    keys.push(key);
                }
            }
            if keys.len() >= MOST_KEYS {
                break;
            }
        }
        // The first ones stay.
        let _ = self.keys.set(keys);
    }
}
