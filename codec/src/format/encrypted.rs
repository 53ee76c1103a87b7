//! `binary/encrypted`, which three kinds of codecs write: Temporal's samples with a static key, temporal-proxy, and codecs
//! for Vault's transit engine.

pub(crate) const ENCODING: &str = "binary/encrypted";
/// The key: the id of a static key, or the URI of a key-encryption key.
pub(crate) const KEY_ID: &str = "encryption-key-id";
