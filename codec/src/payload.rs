//! The [`Payload`] that Temporal stores, and the metadata keys that this codec reads and writes.

pub use temporal_kms_codec_proto::{
    Data, Metadata, Payload, PayloadParts, Payloads, Room, SharedPayload,
};
#[doc(hidden)]
pub use temporal_kms_codec_proto::{Erase, Plain};

/// How `data` is to be read. Every SDK writes it, and a codec dispatches on it.
pub const ENCODING: &str = "encoding";
/// The key-encryption key: a resource name in direct mode, a [`KeyUri`](crate::KeyUri) in an envelope.
pub const KMS_KEY: &str = "kms-key";
/// The data key, wrapped by the key-encryption key.
pub const ENCRYPTED_DEK: &str = "encrypted-dek";
/// The envelope's version; absent in version 1.
pub const ENVELOPE_VERSION: &str = "envelope-version";
/// The encryption context as canonical JSON; absent when empty.
pub const ENCRYPTION_CONTEXT: &str = "encryption-context";
/// The protobuf message that a `json/protobuf` or `binary/protobuf` payload holds.
pub const MESSAGE_TYPE: &str = "messageType";

/// `encoding` of both envelope versions.
pub const ENCODING_ENVELOPE: &str = "binary/envelope-kms";

/// Questions that a codec asks of a payload.
pub trait PayloadExt {
    /// The `encoding`, where there is one and it is text.
    fn encoding(&self) -> Option<&str>;

    /// Whether the payload claims to refer to a value that an SDK stored outside of Temporal.
    ///
    /// SDKs make such a reference after their codec has run, so it is not encrypted. A codec that is handed one treats
    /// it like any other payload: it encrypts it, and when decoding it applies
    /// [`PlaintextPolicy`](crate::PlaintextPolicy). A caller that wants a reference back does not decode it. A reference is
    /// not authentic: anybody who can write to Temporal can forge one.
    fn is_storage_reference(&self) -> bool;
}

impl PayloadExt for Payload {
    fn encoding(&self) -> Option<&str> {
        text(&self.metadata, ENCODING)
    }

    fn is_storage_reference(&self) -> bool {
        refers_to_storage(&self.metadata)
    }
}

impl PayloadExt for SharedPayload {
    fn encoding(&self) -> Option<&str> {
        text(&self.metadata, ENCODING)
    }

    fn is_storage_reference(&self) -> bool {
        refers_to_storage(&self.metadata)
    }
}

fn refers_to_storage(metadata: &Metadata) -> bool {
    match text(metadata, ENCODING) {
        Some("json/external-storage-reference") => true,
        Some("json/protobuf") => {
            text(metadata, MESSAGE_TYPE) == Some("temporal.api.sdk.v1.ExternalStorageReference")
        }
        _ => false,
    }
}

/// An entry of the metadata, where there is one and it is text.
pub(crate) fn text<'a>(metadata: &'a Metadata, key: &str) -> Option<&'a str> {
    std::str::from_utf8(metadata.get(key)?).ok()
}
