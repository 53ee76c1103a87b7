//! The parts of a payload, whether it shares its metadata or not.

use std::{mem, sync::Arc};

use crate::{Data, Metadata, Payload, Room, SharedPayload, payload::ExternalPayloadDetails};

/// The parts of a [`Payload`] or of a [`SharedPayload`].
pub trait PayloadParts {
    /// As in [`Payload`].
    fn metadata(&self) -> &Metadata;
    /// As in [`Payload`].
    fn data(&self) -> &[u8];
    /// As in [`Payload`].
    fn external_payloads(&self) -> &[ExternalPayloadDetails];
    /// The metadata of a [`SharedPayload`]. Other payloads may have them too.
    fn shared_metadata(&self) -> Option<&Arc<Metadata>>;
    /// Takes the data of a [`SharedPayload`] in their buffer, if it has so much room around them.
    fn take_data(&mut self, room: Room) -> Option<Data>;
    /// Has `erase` empty the data and the values of the metadata. The names of the metadata are left, and metadata that other
    /// payloads have too.
    fn erase_with(&mut self, erase: fn(&mut Vec<u8>));
}

/// Has `erase` empty the values of metadata, unless another payload has them too.
pub(crate) fn erase_unshared(metadata: &mut Arc<Metadata>, erase: impl FnMut(&mut Vec<u8>)) {
    if let Some(metadata) = Arc::get_mut(metadata) {
        metadata.values_mut().for_each(erase);
    }
}

impl PayloadParts for Payload {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn data(&self) -> &[u8] {
        &self.data
    }

    fn external_payloads(&self) -> &[ExternalPayloadDetails] {
        &self.external_payloads
    }

    fn shared_metadata(&self) -> Option<&Arc<Metadata>> {
        None
    }

    fn take_data(&mut self, _: Room) -> Option<Data> {
        None
    }

    fn erase_with(&mut self, erase: fn(&mut Vec<u8>)) {
        erase(&mut self.data);
        self.metadata.values_mut().for_each(erase);
    }
}

impl PayloadParts for SharedPayload {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn data(&self) -> &[u8] {
        &self.data
    }

    fn external_payloads(&self) -> &[ExternalPayloadDetails] {
        &self.external_payloads
    }

    fn shared_metadata(&self) -> Option<&Arc<Metadata>> {
        Some(&self.metadata)
    }

    fn take_data(&mut self, room: Room) -> Option<Data> {
        self.data.has_room(room).then(|| mem::take(&mut self.data))
    }

    fn erase_with(&mut self, erase: fn(&mut Vec<u8>)) {
        erase(self.data.buffer_mut());
        erase_unshared(&mut self.metadata, erase);
    }
}
