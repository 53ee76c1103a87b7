//! The parts of a payload, whether it shares its metadata or not.

use std::sync::Arc;

use crate::{Metadata, Payload, SharedPayload, payload::ExternalPayloadDetails};

/// The parts of a [`Payload`] or of a [`SharedPayload`].
pub trait PayloadParts {
    /// As in [`Payload`].
    fn metadata(&self) -> &Metadata;
    /// As in [`Payload`].
    fn data(&self) -> &[u8];
    /// As in [`Payload`].
    fn external_payloads(&self) -> &[ExternalPayloadDetails];
    /// Has `erase` empty the data and the values of the metadata. The names of the metadata are left, and metadata that other
    /// payloads have too.
    fn erase_with(&mut self, erase: fn(&mut Vec<u8>));
}

fn erase_parts(data: &mut Vec<u8>, metadata: Option<&mut Metadata>, erase: fn(&mut Vec<u8>)) {
    erase(data);
    if let Some(metadata) = metadata {
        metadata.values_mut().for_each(erase);
    }
}

macro_rules! parts {
    ($payload:ty, $this:ident => $data:expr, $own_metadata:expr) => {
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

            fn erase_with(&mut self, erase: fn(&mut Vec<u8>)) {
                let $this = self;
                erase_parts($data, $own_metadata, erase);
            }
        }
    };
}

parts!(Payload, it => &mut it.data, Some(&mut it.metadata));
parts!(SharedPayload, it => it.data.buffer_mut(), Arc::get_mut(&mut it.metadata));
