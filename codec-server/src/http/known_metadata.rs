//! The metadata of the last envelope of each namespace that was decoded, as text of a body.
//!
//! The envelopes of one data key have the same metadata. Reading them takes longer than decrypting a small payload. Only metadata
//! of a payload that was opened are kept, and all namespaces together keep a few MiB.

use std::{
    array,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, LazyLock},
};

use arc_swap::{ArcSwapOption, Guard};
use temporal_kms::support::{MemoryBudget, SecretVec, TakenMemory, footprint_of_maps};
use temporal_kms_codec::{
    Namespace, SharedPayload,
    payload::{ENCODING, Plain},
};
use temporal_kms_codec_proto::{Metadata, json::LastMetadata};

use super::shown_ciphertext::is_sealed;

/// Text that is kept. A caller can add entries of any size.
const MAX_KEPT: usize = 16 << 10;

/// The memory of what all namespaces keep. When it is used up, others keep nothing.
const MAX_ALL: usize = 8 << 20;

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
        let all = MemoryBudget::new(MAX_ALL);
        let place = |name| (name, KnownMetadata::within(&all));
        Self {
            named: named.into_iter().map(place).collect(),
            shared: array::from_fn(|_| KnownMetadata::within(&all)),
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
pub(super) struct KnownMetadata {
    kept: ArcSwapOption<Kept>,
    budget: MemoryBudget,
}

/// The text of metadata, and what they are.
pub(super) struct Kept {
    text: Vec<u8>,
    metadata: Arc<Metadata>,
    /// `None` for those that are a part of the program.
    _taken: Option<TakenMemory>,
}

/// The metadata of most values that callers encode.
pub(super) static OF_VALUES: LazyLock<Kept> = LazyLock::new(|| Kept {
    text: br#"{"encoding":"anNvbi9wbGFpbg=="}"#.to_vec(),
    metadata: Arc::new([(ENCODING.to_owned(), b"json/plain".to_vec())].into()),
    _taken: None,
});

impl KnownMetadata {
    /// Nothing is known yet. What is kept takes memory of `budget`.
    fn within(budget: &MemoryBudget) -> Self {
        Self {
            kept: ArcSwapOption::empty(),
            budget: budget.clone(),
        }
    }

    /// What is known now.
    pub(super) fn load(&self) -> Guard<Option<Arc<Kept>>> {
        self.kept.load()
    }

    /// Keeps metadata if the answer shows that their payload was opened. `payload` is in the place of theirs.
    pub(super) fn learn(&self, seen: SeenMetadata, payload: &SharedPayload) {
        // A payload that is not encrypted is answered as it is.
        if **seen.metadata == *payload.metadata {
            return;
        }
        // The last ones give their memory back.
        let release = || self.kept.store(None);
        let taken = self.budget.take_after(seen.footprint(), release);
        if let Some(taken) = taken {
            self.kept.store(Some(Arc::new(Kept {
                text: seen.text.into_inner(),
                metadata: seen.metadata.into_inner(),
                _taken: Some(taken),
            })));
        }
    }
}

/// The last metadata of a body. They claim to be those of an envelope, which is known once their payload is opened.
pub(super) struct SeenMetadata {
    text: SecretVec,
    metadata: Plain<Arc<Metadata>>,
    index: usize,
}

impl SeenMetadata {
    /// The last metadata of a body with these payloads. `None` for metadata that are known already, that are not those of an
    /// envelope, or that are too long.
    pub(super) fn new(
        known: Option<&Kept>,
        last: &LastMetadata<'_>,
        payloads: &[SharedPayload],
    ) -> Option<Self> {
        let (text, metadata) = last.as_ref()?;
        let is_known = known.is_some_and(|known| Arc::ptr_eq(&known.metadata, metadata));
        if is_known || text.len() > MAX_KEPT {
            return None;
        }
        let has_them = |payload: &SharedPayload| Arc::ptr_eq(&payload.metadata, metadata);
        let index = payloads.iter().rposition(has_them)?;
        let is_sealed = payloads.get(index).is_some_and(is_sealed);
        is_sealed.then(|| Self {
            text: text.to_vec().into(),
            metadata: Plain::new(Arc::clone(metadata)),
            index,
        })
    }

    /// The place of a payload that has them, counted from 0.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Roughly the memory that they take when they are kept.
    fn footprint(&self) -> usize {
        // What was read from a text is not longer than the text.
        footprint_of_maps(1, self.metadata.len(), 2 * self.text.len())
    }
}

impl Kept {
    /// The text and what was read from it, as a reader keeps its last metadata.
    pub(super) fn as_last(&self) -> (&[u8], Arc<Metadata>) {
        (&self.text, Arc::clone(&self.metadata))
    }
}

#[cfg(test)]
impl Default for KnownMetadata {
    fn default() -> Self {
        Self::within(&MemoryBudget::new(MAX_ALL))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn seen(known: &KnownMetadata, text: &[u8], encoding: &str) -> Option<SeenMetadata> {
        let metadata = Metadata::from([("encoding".to_owned(), encoding.into())]);
        let metadata = Arc::new(metadata);
        let payloads = [&metadata, &Arc::default()]
            .map(|metadata| SharedPayload::new(Arc::clone(metadata), Vec::new()));
        SeenMetadata::new(known.load().as_deref(), &Some((text, metadata)), &payloads)
    }

    fn learn(known: &KnownMetadata, text: &[u8], encoding: &str) {
        if let Some(seen) = seen(known, text, encoding) {
            known.learn(seen, &SharedPayload::default());
        }
    }

    fn text(known: &KnownMetadata) -> Option<Vec<u8>> {
        known.load().as_ref().map(|kept| kept.as_last().0.to_vec())
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
        assert_eq!(text(&known), None);
        learn(&known, b"{1}", "binary/envelope-kms");
        assert_eq!(text(&known).as_deref(), Some(&b"{1}"[..]));
        learn(&known, b"{2}", "binary/envelope-kms");
        assert_eq!(text(&known).as_deref(), Some(&b"{2}"[..]));
    }

    #[test]
    fn metadata_of_a_payload_that_was_not_opened_are_not_kept() {
        let known = KnownMetadata::default();
        let not_opened = seen(&known, b"{1}", "binary/other-kms").unwrap();
        assert_eq!(not_opened.index(), 0);
        let as_it_was = SharedPayload::new(Arc::clone(&not_opened.metadata), Vec::new());
        known.learn(not_opened, &as_it_was);
        assert_eq!(text(&known), None);
    }

    #[test]
    fn metadata_that_are_known_are_not_kept_again() {
        let known = KnownMetadata::default();
        learn(&known, b"{1}", "binary/envelope-kms");
        let kept = known.load();
        let (text, metadata) = kept.as_ref().unwrap().as_last();
        let payload = SharedPayload::new(Arc::clone(&metadata), Vec::new());
        let last = Some((text, metadata));
        assert!(SeenMetadata::new(kept.as_deref(), &last, &[payload]).is_none());
        assert!(SeenMetadata::new(kept.as_deref(), &None, &[]).is_none());
    }

    #[test]
    fn all_namespaces_together_keep_a_few_mib() {
        const COUNT: usize = 1000;

        let names = || (0..COUNT).map(namespace);
        let metadata = NamespacesMetadata::new(names());
        let long = vec![b' '; MAX_KEPT];
        for name in names() {
            learn(metadata.of(&name), &long, "binary/envelope-kms");
        }
        let kept = names().filter(|name| text(metadata.of(name)).is_some());
        let kept = kept.count();
        assert!(kept * 2 * MAX_KEPT <= MAX_ALL, "{kept}");
        assert!(kept * 3 * MAX_KEPT > MAX_ALL, "{kept}");
        // Those of a namespace take the memory of the last ones.
        let first = metadata.of(&namespace(0));
        learn(first, &vec![b'\n'; MAX_KEPT], "binary/envelope-kms");
        assert_eq!(text(first), Some(vec![b'\n'; MAX_KEPT]));
        let last = metadata.of(&namespace(COUNT - 1));
        learn(last, &long, "binary/envelope-kms");
        assert_eq!(text(last), None);
    }

    fn namespace(number: usize) -> Namespace {
        Namespace::new(&format!("namespace-{number}")).unwrap()
    }

    #[test]
    fn namespaces_in_turn_do_not_replace_what_is_known_of_each_other() {
        let named = (0..100).map(namespace);
        let metadata = NamespacesMetadata::new(named.clone());
        let texts = || (0..100).map(|number| format!("{{{number}}}"));
        for (name, own) in named.clone().zip(texts()) {
            learn(metadata.of(&name), own.as_bytes(), "binary/envelope-kms");
        }
        // Those of a pattern, which callers can name without end.
        for name in (100..10_000).map(namespace) {
            learn(metadata.of(&name), b"{other}", "binary/envelope-kms");
        }
        for (name, own) in named.zip(texts()) {
            assert_eq!(text(metadata.of(&name)), Some(own.into_bytes()));
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
