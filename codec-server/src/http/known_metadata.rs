//! The metadata of the last envelope that was to be decoded, as text of a body.
//!
//! The envelopes of one data key have the same metadata. Reading them takes longer than decrypting a small payload.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use temporal_kms_codec::SharedPayload;
use temporal_kms_codec_proto::{Metadata, json::LastMetadata};

use super::shown_ciphertext::is_sealed;

/// Text that is kept. A caller can add entries of any size.
const MAX_KEPT: usize = 16 << 10;

/// What is kept of the last envelope.
#[derive(Default)]
pub(super) struct KnownMetadata(ArcSwapOption<Kept>);

/// The text of metadata, and what they are.
pub(super) struct Kept {
    text: Vec<u8>,
    metadata: Arc<Metadata>,
}

impl KnownMetadata {
    /// What is known now.
    pub(super) fn load(&self) -> Guard<Option<Arc<Kept>>> {
        self.0.load()
    }

    /// Keeps the last metadata of a body, unless they are known. Those of plaintext are not kept.
    pub(super) fn learn(&self, known: Option<&Kept>, last: &LastMetadata<'_>) {
        let Some((text, metadata)) = last else {
            return;
        };
        let is_known = known.is_some_and(|known| Arc::ptr_eq(&known.metadata, metadata));
        if is_known || text.len() > MAX_KEPT {
            return;
        }
        let envelope = SharedPayload::new(Arc::clone(metadata), Vec::new());
        if !is_sealed(&envelope) {
            return;
        }
        self.0.store(Some(Arc::new(Kept {
            text: text.to_vec(),
            metadata: Arc::clone(metadata),
        })));
    }
}

impl Kept {
    /// The text and what was read from it, as a reader keeps its last metadata.
    pub(super) fn as_last(&self) -> (&[u8], Arc<Metadata>) {
        (&self.text, Arc::clone(&self.metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(known: &KnownMetadata, text: &[u8], encoding: &str) -> Arc<Metadata> {
        let metadata = Metadata::from([("encoding".to_owned(), encoding.into())]);
        let metadata = Arc::new(metadata);
        let last = Some((text, Arc::clone(&metadata)));
        known.learn(known.load().as_deref(), &last);
        metadata
    }

    #[test]
    fn only_small_metadata_of_envelopes_are_kept() {
        let known = KnownMetadata::default();
        learn(&known, b"{plain}", "json/plain");
        learn(&known, &vec![b' '; MAX_KEPT + 1], "binary/envelope-kms");
        assert!(known.load().is_none());
        let first = learn(&known, b"{1}", "binary/envelope-kms");
        let kept = known.load();
        let (text, metadata) = kept.as_ref().unwrap().as_last();
        assert!(text == b"{1}" && Arc::ptr_eq(&metadata, &first));
        learn(&known, b"{2}", "binary/envelope-kms");
        assert_eq!(known.load().as_ref().unwrap().as_last().0, b"{2}");
        known.learn(None, &None);
        assert!(known.load().is_some());
    }
}
