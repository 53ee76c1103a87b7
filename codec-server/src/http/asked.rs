//! What a request asks for, as both logs tell it.

use std::sync::OnceLock;

use temporal_kms_codec::SharedPayload;

use super::request_error::named_keys;

/// The keys of a request that the log names.
const MOST_KEYS: usize = 8;

/// What a request holds, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) payloads: OnceLock<usize>,
    pub(super) keys: OnceLock<Vec<String>>,
}

impl Asked {
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
