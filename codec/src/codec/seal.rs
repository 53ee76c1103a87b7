//! Sealing: a batch under one data key, or one KMS call for each payload.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;
use zeroize::Zeroizing;

use super::{CONCURRENT_CALLS, Codec};
use crate::{
    Error, Format, Payload, PayloadError,
    dek::{DataKey, LiveDek},
    format::{self, Parsed, direct::Direct},
    kms::{ProviderError, ProviderErrorKind},
    message,
};

/// A payload on its way, in its place among the others.
enum Slot {
    ToSeal(Payload),
    /// Encrypted by this codec before.
    Sealed(Payload),
}

impl Codec {
    pub(super) async fn seal_all(&self, payloads: Vec<Payload>) -> Result<Vec<Payload>, Error> {
        let slots = self.sort(payloads).await;
        let count = slots
            .iter()
            .filter(|slot| matches!(slot, Slot::ToSeal(_)))
            .count();
        let sealed = match self.0.format {
            _ if count == 0 => slots.into_iter().map(Slot::into_payload).collect(),
            Format::Envelope => self.seal_v2(slots).await?,
            Format::EnvelopeV1 => seal_envelopes(&self.0.live_v1, slots, message::seal_v1).await?,
            Format::Direct => self.encrypt_directly(slots).await?,
        };
        self.0.counters.sealed.add(count);
        Ok(sealed)
    }

    /// Finds what is encrypted already: the Web UI sends that when a schedule is edited. A marker alone proves nothing, so
    /// such a payload has to open; otherwise it is sealed like any other, and nothing is lost.
    async fn sort(&self, payloads: Vec<Payload>) -> Vec<Slot> {
        let budget = &self.0.keyholder.budget();
        stream::iter(payloads)
            .map(|payload| async move {
                if !format::is_marked(&payload) {
                    return Slot::ToSeal(payload);
                }
                let opens = match format::parse(payload.clone()) {
                    Ok(Parsed::Plain(_)) | Err(_) => false,
                    Ok(sealed) => self.open(sealed, budget).await.is_ok(),
                };
                if opens {
                    Slot::Sealed(payload)
                } else {
                    Slot::ToSeal(payload)
                }
            })
            .buffered(CONCURRENT_CALLS)
            .collect()
            .await
    }

    async fn seal_v2(&self, slots: Vec<Slot>) -> Result<Vec<Payload>, Error> {
        let live = &self.0.live_v2;
        seal_envelopes(live, slots, |key, payload| {
            message::seal_v2(key, live.context(), self.0.compression, payload)
        })
        .await
    }

    async fn encrypt_directly(&self, slots: Vec<Slot>) -> Result<Vec<Payload>, Error> {
        stream::iter(slots)
            .map(|slot| async {
                match slot {
                    Slot::Sealed(payload) => Ok(payload),
                    Slot::ToSeal(payload) => self.encrypt_one_directly(payload).await,
                }
            })
            .buffered(CONCURRENT_CALLS)
            .try_collect()
            .await
    }

    async fn encrypt_one_directly(&self, payload: Payload) -> Result<Payload, Error> {
        let key = &self.0.encrypting.first;
        if !(key.min_plaintext()..=key.max_plaintext()).contains(&payload.encoded_len()) {
            self.0.counters.direct_fallbacks.add(1);
            let sealed = self.seal_v2(vec![Slot::ToSeal(payload)]).await?;
            return sealed
                .into_iter()
                .next()
                .ok_or_else(|| ProviderError::new(ProviderErrorKind::Integrity, key.uri()).into());
        }
        self.0.counters.direct_calls.add(1);
        let plaintext = Zeroizing::new(payload.encode_to_vec());
        let ciphertext = key.encrypt(&plaintext).await?;
        Ok(Direct {
            key: key.uri().clone(),
            ciphertext,
        }
        .into_payload())
    }
}

/// Seals a batch under one data key.
async fn seal_envelopes(
    live: &Arc<LiveDek>,
    slots: Vec<Slot>,
    seal: impl Fn(&DataKey, &Payload) -> Result<Vec<u8>, PayloadError>,
) -> Result<Vec<Payload>, Error> {
    let (messages, bytes) = slots
        .iter()
        .fold((0, 0), |(messages, bytes), slot| match slot {
            Slot::ToSeal(payload) => (messages + 1, bytes + payload.encoded_len() as u64),
            Slot::Sealed(_) => (messages, bytes),
        });
    let key = live.acquire(messages, bytes).await?;
    slots
        .into_iter()
        .map(|slot| match slot {
            Slot::Sealed(payload) => Ok(payload),
            Slot::ToSeal(payload) => Ok(Payload {
                data: seal(&key.data_key, &payload)?,
                metadata: key.metadata.clone(),
                external_payloads: Vec::new(),
            }),
        })
        .collect()
}

impl Slot {
    fn into_payload(self) -> Payload {
        match self {
            Self::ToSeal(payload) | Self::Sealed(payload) => payload,
        }
    }
}
