//! Opening: which key, from where, and then the message.

use super::Codec;
use crate::{
    Error, Payload, PayloadError, content,
    dek::{Budget, DataKey},
    format::{
        Marker, Parsed,
        direct::{self, Direct},
        envelope_v1::EnvelopeV1,
        envelope_v2::EnvelopeV2,
    },
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
        budget: &Budget,
    ) -> Result<Payload, Error> {
        match sealed {
            Parsed::Direct(direct) => self.decrypt_directly(direct, budget).await,
            Parsed::EnvelopeV1(envelope) => self.open_v1(envelope, budget).await,
            Parsed::EnvelopeV2(envelope) => self.open_v2(envelope, max_decompressed, budget).await,
        }
    }

    async fn open_v2(
        &self,
        envelope: EnvelopeV2,
        max_decompressed: usize,
        budget: &Budget,
    ) -> Result<Payload, Error> {
        let EnvelopeV2 {
            header,
            recipients,
            context,
            mut data,
        } = envelope;
        let open =
            |key: &DataKey| message::open_v2(key, &header, &context, &mut data, max_decompressed);
        let keyholder = &self.0.keyholder;
        keyholder.open(&recipients, &context, budget, open).await
    }

    async fn open_v1(&self, envelope: EnvelopeV1, budget: &Budget) -> Result<Payload, Error> {
        let EnvelopeV1 { key, wrapped, data } = envelope;
        let open = |key: &DataKey| message::open_v1(key, data.clone());
        let keyholder = &self.0.keyholder;
        keyholder
            .open_v1(key.as_ref(), &wrapped, budget, open)
            .await
    }

    async fn decrypt_directly(&self, direct: Direct, budget: &Budget) -> Result<Payload, Error> {
        let Direct { key, ciphertext } = direct;
        let plaintext = self.0.keyholder.decrypt(&key, &ciphertext, budget).await?;
        // 32 bytes are the data key of an envelope: none of it may be read as a payload.
        if !direct::may_have_len(plaintext.len()) {
            return Err(PayloadError::NotAuthentic.into());
        }
        Ok(content::decode(&plaintext)?)
    }
}
