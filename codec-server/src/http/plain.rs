//! Payloads of a request or of its answer. They can be plaintext.

use std::{
    mem,
    ops::{Deref, DerefMut},
};

use temporal_kms::support::erase_vec;
use temporal_kms_codec::SharedPayload;
use temporal_kms_codec_proto::PayloadParts as _;

/// Payloads that are erased on drop, unless they are taken.
#[derive(Default)]
pub(super) struct Plain(Vec<SharedPayload>);

impl Plain {
    pub(super) fn take(mut self) -> Vec<SharedPayload> {
        mem::take(&mut self.0)
    }
}

impl From<Vec<SharedPayload>> for Plain {
    fn from(payloads: Vec<SharedPayload>) -> Self {
        Self(payloads)
    }
}

impl Deref for Plain {
    type Target = Vec<SharedPayload>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Plain {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        // Each is dropped before the next one: the last one that has some metadata erases them.
        self.0.drain(..).for_each(|mut payload| erase(&mut payload));
    }
}

fn erase(payload: &mut SharedPayload) {
    payload.erase_with(erase_vec);
}

#[cfg(test)]
mod tests {
    use temporal_kms_codec::Payload;

    use super::*;

    fn payload() -> SharedPayload {
        SharedPayload::from(Payload {
            metadata: [("note".to_owned(), b"secret".to_vec())].into(),
            data: b"secret".to_vec(),
            ..Payload::default()
        })
    }

    #[test]
    fn a_payload_is_erased() {
        let mut erased = payload();
        erase(&mut erased);
        assert!(erased.data.is_empty() && erased.metadata["note"].is_empty());
        let shared = payload();
        let mut other = shared.clone();
        erase(&mut other);
        assert!(other.data.is_empty());
        assert_eq!(shared, payload());
    }

    #[test]
    fn payloads_that_are_taken_are_whole() {
        assert_eq!(Plain::from(vec![payload()]).take(), [payload()]);
    }
}
