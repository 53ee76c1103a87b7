//! The [`Payload`] that Temporal stores, and the metadata keys that this codec reads and writes.

pub use temporal_kms_codec_proto::{Payload, Payloads};

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

    /// Whether the payload only refers to a value that an SDK stored outside of Temporal. Such a reference is
    /// never encrypted: it is what the SDK needs to fetch the encrypted value.
    fn is_storage_reference(&self) -> bool;
}

impl PayloadExt for Payload {
    fn encoding(&self) -> Option<&str> {
        text(self, ENCODING)
    }

    fn is_storage_reference(&self) -> bool {
        match self.encoding() {
            Some("json/external-storage-reference") => true,
            Some("json/protobuf") => {
                text(self, MESSAGE_TYPE) == Some("temporal.api.sdk.v1.ExternalStorageReference")
            }
            _ => false,
        }
    }
}

fn text<'a>(payload: &'a Payload, key: &str) -> Option<&'a str> {
    std::str::from_utf8(payload.metadata.get(key)?).ok()
}
