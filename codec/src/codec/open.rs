//! Opening: which key, from where, and then the message.

use super::Codec;
use crate::{
    Error, Payload,
    dek::{Budget, DataKey},
    format::{Parsed, direct::Direct, envelope_v1::EnvelopeV1, envelope_v2::EnvelopeV2},
    message,
};

impl Codec {
    pub(super) async fn open(&self, sealed: Parsed, budget: &Budget) -> Result<Payload, Error> {
        if let Some(format) = sealed.format() {
            self.0.policy.formats.check(format)?;
        }
        match sealed {
            Parsed::Plain(payload) => Ok(payload),
            Parsed::Direct(direct) => self.decrypt_directly(direct, budget).await,
            Parsed::EnvelopeV1(envelope) => self.open_v1(envelope, budget).await,
            Parsed::EnvelopeV2(envelope) => self.open_v2(envelope, budget).await,
        }
    }

    async fn open_v2(&self, envelope: EnvelopeV2, budget: &Budget) -> Result<Payload, Error> {
        let EnvelopeV2 {
            header,
            recipients,
            context,
            mut data,
        } = envelope;
        self.0.policy.check_context(&context)?;
        let limit = self.0.max_decompressed;
        let open = |key: &DataKey| message::open_v2(key, &header, &context, &mut data, limit);
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
        Ok(message::decode(&plaintext)?)
    }
}
