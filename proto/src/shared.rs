//! Payloads that share their metadata: those of one request mostly have the same.

use std::{collections::BTreeMap, fmt, ptr, sync::Arc};

use crate::{Data, Payload, payload::ExternalPayloadDetails};

/// The metadata of payloads.
pub type Metadata = BTreeMap<String, Vec<u8>>;

/// A [`Payload`] whose metadata may be those of others too.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct SharedPayload {
    /// As in [`Payload`].
    pub metadata: Arc<Metadata>,
    /// As in [`Payload`].
    pub data: Data,
    /// As in [`Payload`].
    pub external_payloads: Vec<ExternalPayloadDetails>,
}

impl SharedPayload {
    /// A payload without externally stored parts.
    #[must_use]
    pub fn new(metadata: Arc<Metadata>, data: impl Into<Data>) -> Self {
        Self {
            metadata,
            data: data.into(),
            external_payloads: Vec::new(),
        }
    }

    /// The payload with metadata of its own. They are copied if others have them too.
    #[must_use]
    pub fn into_payload(self) -> Payload {
        Payload {
            metadata: Arc::unwrap_or_clone(self.metadata),
            data: self.data.into_vec(),
            external_payloads: self.external_payloads,
        }
    }
}

impl From<Payload> for SharedPayload {
    fn from(payload: Payload) -> Self {
        Self {
            metadata: Arc::new(payload.metadata),
            data: payload.data.into(),
            external_payloads: payload.external_payloads,
        }
    }
}

impl From<SharedPayload> for Payload {
    fn from(shared: SharedPayload) -> Self {
        shared.into_payload()
    }
}

impl fmt::Debug for SharedPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPayload")
            .field("data_bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// What is known of the last metadata, so that payloads that share them ask once.
#[derive(Debug)]
pub struct OncePerMetadata<'p, T>(Option<(&'p Metadata, T)>);

impl<'p, T: Copy> OncePerMetadata<'p, T> {
    /// What is known of these metadata, or what `ask` says of them.
    pub fn get(&mut self, metadata: &'p Metadata, ask: impl FnOnce() -> T) -> T {
        match self.0 {
            Some((last, known)) if ptr::eq(last, metadata) => known,
            _ => self.0.insert((metadata, ask())).1,
        }
    }
}

impl<T> Default for OncePerMetadata<'_, T> {
    fn default() -> Self {
        Self(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_that_share_their_metadata_ask_once() {
        let metadata = [Metadata::new(), Metadata::new()];
        let (mut asked, mut known) = (0, OncePerMetadata::default());
        let answers = [0, 0, 1, 1, 0].map(|index: usize| {
            known.get(&metadata[index], || {
                asked += 1;
                index
            })
        });
        assert_eq!((answers, asked), ([0, 0, 1, 1, 0], 3));
    }

    #[test]
    fn a_payload_becomes_shared_and_back_and_shows_nothing() {
        let payload = Payload {
            metadata: [("note".to_owned(), b"sk-secret".to_vec())].into(),
            data: b"sk-secret".to_vec(),
            external_payloads: vec![ExternalPayloadDetails { size_bytes: 7 }],
        };
        let shared = SharedPayload::from(payload.clone());
        assert!(!format!("{shared:?}").contains("sk-secret"));
        assert_eq!(shared.clone().into_payload(), payload);
        assert_eq!(shared.into_payload(), payload);
    }
}
