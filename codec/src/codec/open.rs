//! Opening: which key, from where, and then the message.

use std::sync::Arc;

use super::Codec;
use crate::{
    EncryptionContext, Error, Payload, PayloadError, content, dek,
    format::{
        Marker, Parsed,
        direct::{self, Direct},
        envelope_v1::EnvelopeV1,
        envelope_v2::{EnvelopeV2, Recipient},
    },
    kms::KeyProvider,
    message,
};

impl Codec {
    /// Takes an encrypted payload apart, and checks it against the policy: its format, its context, and whether any of
    /// its keys may be used. No KMS is called.
    pub(super) fn read(&self, marker: Marker, payload: Payload) -> Result<Parsed, PayloadError> {
        let policy = &self.0.policy;
        policy.formats.check(marker.format()?)?;
        let sealed = marker.parse(payload)?;
        match &sealed {
            Parsed::Direct(direct) => {
                self.0.keyholder.provider(&direct.key)?;
            }
            Parsed::EnvelopeV1(envelope) => {
                if let Some(key) = &envelope.key {
                    self.0.keyholder.provider(key)?;
                }
            }
            Parsed::EnvelopeV2(envelope) => {
                policy.check_context(&envelope.context)?;
                self.0.keyholder.check_any(&envelope.recipients)?;
            }
        }
        Ok(sealed)
    }

    /// Opens what `read` has checked.
    pub(super) async fn open(
        &self,
        sealed: Parsed,
        max_decompressed: usize,
    ) -> Result<Payload, Error> {
        match sealed {
            Parsed::Direct(direct) => self.decrypt_directly(direct).await,
            Parsed::EnvelopeV1(envelope) => self.open_v1(envelope).await,
            Parsed::EnvelopeV2(envelope) => self.open_v2(envelope, max_decompressed).await,
        }
    }

    async fn open_v2(
        &self,
        envelope: EnvelopeV2,
        max_decompressed: usize,
    ) -> Result<Payload, Error> {
        let EnvelopeV2 {
            header,
            recipients,
            context,
            data,
        } = envelope;
        let key = self.0.keyholder.unwrap_any(recipients, &context).await?;
        Ok(message::open_v2(
            &key,
            &header,
            &context,
            data,
            max_decompressed,
        )?)
    }

    async fn open_v1(&self, envelope: EnvelopeV1) -> Result<Payload, Error> {
        let EnvelopeV1 { key, wrapped, data } = envelope;
        let candidate = |provider: &Arc<dyn KeyProvider>| {
            let key = provider.uri().clone();
            (
                provider.clone(),
                Recipient {
                    key,
                    wrapped: wrapped.clone(),
                },
            )
        };
        let candidates = match key {
            Some(key) => vec![candidate(self.0.keyholder.provider(&key)?)],
            // Its writer did not say which key it was. It may be any of those that may be used.
            None => self.0.keyholder.keys().iter().map(candidate).collect(),
        };
        let no_context = EncryptionContext::empty();
        let key = self.0.keyholder.unwrap(candidates, &no_context).await?;
        Ok(message::open_v1(&key, data)?)
    }

    async fn decrypt_directly(&self, direct: Direct) -> Result<Payload, Error> {
        let provider = self.0.keyholder.provider(&direct.key)?;
        self.0.counters.direct_calls.add(1);
        let plaintext = provider
            .decrypt(&direct.ciphertext)
            .await
            .map_err(dek::refusal)?;
        // It is the wrapped data key of an envelope: none of it may be read as a payload.
        if !direct::may_have_len(plaintext.len()) {
            return Err(PayloadError::NotAuthentic.into());
        }
        Ok(content::decode(&plaintext)?)
    }
}
