//! `binary/encrypted`, which three kinds of codecs write: Temporal's samples with a static key, temporal-proxy, and codecs
//! for Vault's transit engine.

use super::Marker;
use crate::Payload;

pub(crate) const ENCODING: &str = "binary/encrypted";
/// The key: the id of a static key, or the URI of a key-encryption key.
pub(crate) const KEY_ID: &str = "encryption-key-id";

pub(super) fn marker(payload: &Payload) -> Marker {
    if payload.metadata.contains_key(super::temporal_proxy::DEK) {
        Marker::TemporalProxy
    } else if super::vault_transit::is_marked(payload) {
        Marker::VaultTransit
    } else {
        Marker::Static
    }
}
