//! The service's methods.

mod checksum;
mod crypto;
mod keys;
mod list;
mod policies;
mod rings;
mod versions;

use serde_json::Value;

use crate::{
    error::ApiError,
    model::{Object, Store},
    route::{Route, Rpc},
};

/// Answers one request.
pub(crate) fn call(store: &mut Store, route: &Route, body: &[u8]) -> Result<Value, ApiError> {
    store.settle()?;
    match route.rpc {
        Rpc::ListKeyRings => rings::list(store, route),
        Rpc::GetKeyRing => rings::get(store, route),
        Rpc::CreateKeyRing => rings::create(store, route, body),
        Rpc::ListCryptoKeys => keys::list(store, route),
        Rpc::GetCryptoKey => keys::get(store, route),
        Rpc::CreateCryptoKey => keys::create(store, route, body),
        Rpc::UpdateCryptoKey => keys::update(store, route, body),
        Rpc::UpdateCryptoKeyPrimaryVersion => keys::update_primary(store, route, body),
        Rpc::ListCryptoKeyVersions => versions::list(store, route),
        Rpc::GetCryptoKeyVersion => versions::get(store, route),
        Rpc::CreateCryptoKeyVersion => versions::create(store, route, body),
        Rpc::UpdateCryptoKeyVersion => versions::update(store, route, body),
        Rpc::DestroyCryptoKeyVersion => versions::destroy(store, route),
        Rpc::RestoreCryptoKeyVersion => versions::restore(store, route),
        Rpc::Encrypt => crypto::encrypt(store, route, body),
        Rpc::Decrypt => crypto::decrypt(store, route, body),
        Rpc::AsymmetricSign => crypto::sign(store, route, body),
        Rpc::GetPublicKey => crypto::public_key(store, route),
        Rpc::GetIamPolicy => policies::get(store, route),
        Rpc::SetIamPolicy => policies::set(store, route, body),
        Rpc::TestIamPermissions => policies::test(store, route, body),
    }
}

/// Replaces the decrypted or encrypted bytes, and their checksum.
pub(crate) fn replace_bytes(answer: &mut Object, bytes: &[u8]) {
    for field in ["plaintext", "ciphertext"] {
        if answer.contains_key(&format!("{field}Crc32c")) {
            answer.remove(field);
            checksum::insert(answer, field, bytes);
        }
    }
}

/// The service's answer when a request was damaged in transit.
pub(crate) fn checksum_mismatch(rpc: Rpc) -> ApiError {
    checksum::mismatch(match rpc {
        Rpc::Decrypt => "ciphertext",
        Rpc::AsymmetricSign => "digest",
        _ => "plaintext",
    })
}
