//! Opening: which key, from where, and then the message.

use super::Codec;
use crate::{
    Error, Payload, PayloadError,
    codec::{content, message},
    dek::{Budget, DataKey},
    format::{Marker, Parsed, direct::Direct, envelope_v1::EnvelopeV1, envelope_v2::EnvelopeV2},
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

    /// Opens what `read` has checked, within what the request may still cost.
    pub(super) async fn open(
        &self,
        sealed: Parsed,
        max_decompressed: usize,
        budget: &Budget,
    ) -> Result<Payload, Error> {
        let keyholder = &self.0.keyholder;
        match sealed {
            Parsed::Direct(Direct { key, ciphertext }) => {
                keyholder
                    .decrypt(&key, &ciphertext, budget, content::decode)
                    .await
            }
            Parsed::EnvelopeV1(EnvelopeV1 { key, wrapped, data }) => {
                let open = |key: &DataKey| message::open_v1(key, data.clone());
                keyholder
                    .open_v1(key.as_ref(), &wrapped, budget, open)
                    .await
            }
            Parsed::EnvelopeV2(EnvelopeV2 {
                header,
                recipients,
                context,
                mut data,
            }) => {
                let open = |key: &DataKey| {
                    message::open_v2(key, &header, &context, &mut data, max_decompressed)
                };
                keyholder.open(&recipients, &context, budget, open).await
            }
        }
    }
}
