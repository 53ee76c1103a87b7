//! The parts of a payload, whether it shares its metadata or not.

use crate::{Metadata, Payload, SharedPayload, payload::ExternalPayloadDetails};

/// The parts of a [`Payload`] or of a [`SharedPayload`].
pub trait PayloadParts {
    /// As in [`Payload`].
    fn metadata(&self) -> &Metadata;
    /// As in [`Payload`].
    fn data(&self) -> &[u8];
    /// As in [`Payload`].
    fn external_payloads(&self) -> &[ExternalPayloadDetails];
}

macro_rules! parts {
    ($payload:ty) => {
        impl PayloadParts for $payload {
            fn metadata(&self) -> &Metadata {
                &self.metadata
            }

            fn data(&self) -> &[u8] {
                &self.data
            }

            fn external_payloads(&self) -> &[ExternalPayloadDetails] {
                &self.external_payloads
            }
        }
    };
}

parts!(Payload);
parts!(SharedPayload);
