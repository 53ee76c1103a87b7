//! Tink keysets. A keyset that is accepted seals as Tink does, which another reader of keysets checks.

#![no_main]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fuzz::{is_printable, wait_for};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use serde_json::Value;
use temporal_kms::{
    EncryptionContext, KeyProvider, ProviderErrorKind, Signer,
    support::aead::{Aes256Gcm, NONCE_LEN},
};
use temporal_kms_local::LocalKeyring;

const PLAINTEXT: &[u8] = b"the plaintext";
const AES_GCM: &str = "type.googleapis.com/google.crypto.tink.AesGcmKey";

/// `AesGcmKey` of Tink's `aes_gcm.proto`.
#[derive(Clone, PartialEq, Message)]
struct AesGcmKey {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(bytes, tag = "3")]
    key_value: Vec<u8>,
}

fuzz_target!(|json: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder can be made");
    write(&folder.path().join("k.json"), json);
    let keyring = LocalKeyring::open(folder.path());
    let (key, signer) = (keyring.key("k"), keyring.signing_key("k"));
    assert!(key.is_err() || signer.is_err(), "a keyset has one purpose");
    if let Ok(key) = key {
        encrypts(&*key, json);
    } else if let Ok(signer) = signer {
        signs(&*signer);
    } else if let Err(error) = key {
        assert_eq!(error.kind(), ProviderErrorKind::Misconfigured);
        assert!(is_printable(&error.to_string()), "{error}");
    }
});

fn write(path: &Path, json: &[u8]) {
    fs::write(path, json).expect("a file can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
}

fn context(value: &str) -> EncryptionContext {
    let pairs = [("namespace".to_owned(), value.to_owned())];
    EncryptionContext::new(pairs.into()).expect("one pair is not too much")
}

fn encrypts(key: &dyn KeyProvider, json: &[u8]) {
    let bound = context("default");
    let sealed = wait_for(key.seal(PLAINTEXT, &bound)).expect("the primary key is enabled");
    let opened = wait_for(key.open(&sealed, &bound)).expect("it is genuine");
    assert_eq!(*opened, PLAINTEXT);
    assert!(wait_for(key.open(&sealed, &context("other"))).is_err());

    let (id, secret) = primary(json);
    let (prefix, sealed) = sealed.split_at(5);
    assert_eq!(prefix, [&[1], id.to_be_bytes().as_slice()].concat());
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().expect("a nonce");
    let mut sealed = sealed.to_vec();
    // Ids can repeat. Then any key of the id may have sealed.
    let opens = |secret: &[u8; 32]| {
        let cipher = Aes256Gcm::new(secret);
        cipher.open(*nonce, bound.as_bytes(), &mut sealed.clone()) == Ok(PLAINTEXT)
    };
    assert!(secret.iter().any(opens));
    sealed.clear();
}

fn signs(signer: &dyn Signer) {
    let signature = wait_for(signer.sign(PLAINTEXT)).expect("the primary key is enabled");
    let public = wait_for(signer.public_key(signature.version.as_deref()));
    let public = public.expect("the key that signed exists");
    assert!(public.verify(PLAINTEXT, &signature));
    assert!(!public.verify(b"another plaintext", &signature));
}

/// The id of the primary key and the secrets with this id, by another parser.
fn primary(json: &[u8]) -> (u32, Vec<[u8; 32]>) {
    let json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
    let keyset: Value = serde_json::from_slice(json).expect("it is JSON");
    let id = keyset["primaryKeyId"]
        .as_u64()
        .expect("it names its primary key");
    let keys = keyset["key"].as_array().expect("it has keys");
    let secret = |key: &Value| {
        let is_enabled = key["keyId"] == id && key["status"] == "ENABLED";
        let data = &key["keyData"];
        if !is_enabled || data["typeUrl"] != AES_GCM {
            return None;
        }
        let value = STANDARD.decode(data["value"].as_str()?).ok()?;
        AesGcmKey::decode(&*value).ok()?.key_value.try_into().ok()
    };
    let id = u32::try_from(id).expect("an id has 32 bits");
    (id, keys.iter().filter_map(secret).collect())
}
