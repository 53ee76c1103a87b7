//! The metadata of the last envelope of each namespace that was to be decoded, as text of a body.
//!
//! The envelopes of one data key have the same metadata. Reading them takes longer than decrypting a small payload.

use std::{
    array,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, LazyLock},
};

use arc_swap::{ArcSwapOption, Guard};
use temporal_kms_codec::{Namespace, SharedPayload, payload::ENCODING};
use temporal_kms_codec_proto::{Metadata, json::LastMetadata};

use super::shown_ciphertext::is_sealed;

/// Text that is kept. A caller can add entries of any size.
const MAX_KEPT: usize = 16 << 10;

/// Namespaces that are not configured by their names share so many places: a caller can name any number of them.
const SHARED: usize = 64;

/// What is known of each namespace.
pub(super) struct NamespacesMetadata {
    /// Of the namespaces that are configured by their names. Each has a place of its own.
    named: BTreeMap<Namespace, KnownMetadata>,
    shared: [KnownMetadata; SHARED],
}

impl NamespacesMetadata {
    /// Nothing is known yet. `named` are the namespaces that are configured by their names.
    pub(super) fn new(named: impl IntoIterator<Item = Namespace>) -> Self {
        let place = |name| (name, KnownMetadata::default());
        Self {
            named: named.into_iter().map(place).collect(),
            shared: array::from_fn(|_| KnownMetadata::default()),
        }
    }

    /// What is known of a namespace.
    pub(super) fn of(&self, namespace: &Namespace) -> &KnownMetadata {
        let own = self.named.get(namespace);
        own.unwrap_or_else(|| self.shared(namespace))
    }

    fn shared(&self, namespace: &Namespace) -> &KnownMetadata {
        let mut hasher = DefaultHasher::new();
        namespace.hash(&mut hasher);
        let [number, ..] = hasher.finish().to_le_bytes();
        let [first, ..] = &self.shared;
        let place = self.shared.get(usize::from(number) % SHARED);
        place.unwrap_or(first)
    }
}

/// What is kept of the last envelope of a namespace.
#[derive(Default)]
pub(super) struct KnownMetadata(ArcSwapOption<Kept>);

/// The text of metadata, and what they are.
pub(super) struct Kept {
    text: Vec<u8>,
    metadata: Arc<Metadata>,
}

/// The metadata of most values that callers encode.
pub(super) static OF_VALUES: LazyLock<Kept> = LazyLock::new(|| Kept {
    text: br#"{"encoding":"anNvbi9wbGFpbg=="}"#.to_vec(),
    metadata: Arc::new([(ENCODING.to_owned(), b"json/plain".to_vec())].into()),
});

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
    use std::collections::BTreeSet;

    use super::*;

    fn learn(known: &KnownMetadata, text: &[u8], encoding: &str) -> Arc<Metadata> {
        let metadata = Metadata::from([("encoding".to_owned(), encoding.into())]);
        let metadata = Arc::new(metadata);
        let last = Some((text, Arc::clone(&metadata)));
        known.learn(known.load().as_deref(), &last);
        metadata
    }

    #[test]
    fn the_text_of_usual_metadata_is_what_they_are() {
        let (text, metadata) = OF_VALUES.as_last();
        let payload = [br#"{"metadata":"#.as_slice(), text, b"}"].concat();
        let read = temporal_kms_codec_proto::json::parse_payload(&payload);
        assert_eq!(read.unwrap().metadata, *metadata);
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

    fn namespace(number: usize) -> Namespace {
        Namespace::new(&format!("namespace-{number}")).unwrap()
    }

    #[test]
    fn namespaces_in_turn_do_not_replace_what_is_known_of_each_other() {
        let named = (0..100).map(namespace);
        let metadata = NamespacesMetadata::new(named.clone());
        let texts = || (0..100).map(|number| format!("{{{number}}}"));
        for (name, text) in named.clone().zip(texts()) {
            learn(metadata.of(&name), text.as_bytes(), "binary/envelope-kms");
        }
        // Those of a pattern, which callers can name without end.
        for name in (100..10_000).map(namespace) {
            learn(metadata.of(&name), b"{other}", "binary/envelope-kms");
        }
        for (name, text) in named.zip(texts()) {
            let known = metadata.of(&name).load();
            assert_eq!(known.as_ref().unwrap().as_last().0, text.as_bytes());
        }
    }

    #[test]
    fn namespaces_of_a_pattern_have_a_bounded_number_of_places() {
        let metadata = NamespacesMetadata::new([]);
        let places = |count| {
            let names = (0..count).map(namespace);
            let places = names.map(|name| std::ptr::from_ref(metadata.of(&name)));
            places.collect::<BTreeSet<_>>().len()
        };
        assert_eq!(places(10_000), SHARED);
        // A few namespaces seldom share one.
        assert!(places(16) > 8);
    }
}
