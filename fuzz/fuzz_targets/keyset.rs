//! Tink keysets. A keyset that is accepted seals as Tink does, which another reader of keysets checks.
//!
//! The port of Tink to Rust reads the same keysets. It accepts what we accept, each opens what the other one seals, and each
//! verifies what the other one signs. `fuzz::tink` names the differences. The port parses JSON as we do, by `serde_json`, so
//! `tests/tests/all/tink_verdicts.rs` compares the reading of JSON with Google's own Tink.

#![no_main]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fuzz::{
    is_printable, mutated_keyset,
    tink::{TinkKeyset, has_damaged_remains, keyset_value},
    wait_for,
};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use prost::Message;
use serde_json::Value;
use temporal_kms::{
    EncryptionContext, KeyProvider, ProviderErrorKind, Signature, SignatureAlgorithm, Signer,
    support::aead::{Aes256Gcm, NONCE_LEN},
};
use temporal_kms_local::LocalKeyring;

const PLAINTEXT: &[u8] = b"the plaintext";
const OTHER: &[u8] = b"another plaintext";
const AES_GCM: &str = "type.googleapis.com/google.crypto.tink.AesGcmKey";

/// `AesGcmKey` of Tink's `aes_gcm.proto`.
#[derive(Clone, PartialEq, Message)]
struct AesGcmKey {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(bytes, tag = "3")]
    key_value: Vec<u8>,
}

fuzz_target!(|file: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder can be made");
    write(&folder.path().join("k.json"), file);
    let keyring = LocalKeyring::open(folder.path());
    let (key, signer) = (keyring.key("k"), keyring.signing_key("k"));
    assert!(key.is_err() || signer.is_err(), "a keyset has one purpose");
    let json = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file);
    let tink = TinkKeyset::read(json);
    if let Ok(key) = key {
        encrypts(&*key, json);
        match tink {
            Some(tink) => encrypts_as_tink(&*key, &tink, json),
            None => check_damage(json),
        }
    } else if let Ok(signer) = signer {
        signs(&*signer);
        match tink {
            Some(tink) => signs_as_tink(&*signer, &tink, json),
            None => check_damage(json),
        }
    } else if let Err(error) = key {
        assert!(
            matches!(
                error.kind(),
                ProviderErrorKind::Misconfigured | ProviderErrorKind::KeyDisabled
            ),
            "{error}"
        );
        assert!(is_printable(&error.to_string()), "{error}");
        if let Some(tink) = tink {
            let is_accepted = tink.aead().is_some() || tink.signer().is_some();
            assert!(!is_accepted || !tink.refusals(json).is_empty(), "{error}");
        }
    }
});

// Changes of the keyset, and of bytes.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let json = (seed % 2 == 0).then(|| mutated_keyset(&data[..size], seed));
    match json.flatten() {
        Some(json) if json.len() <= max_size => {
            data[..json.len()].copy_from_slice(&json);
            json.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
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

    let Some(keyset) = keyset_value(json) else {
        return;
    };
    let (id, secret) = primary(&keyset);
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

/// Each opens what the other one seals, under every key and in the same context only.
fn encrypts_as_tink(key: &dyn KeyProvider, tink: &TinkKeyset, json: &[u8]) {
    let Some(aead) = tink.aead() else {
        assert!(tink.leniency().is_some(), "Tink refuses it");
        return;
    };
    assert_eq!(tink.refusals(json), []);
    let (bound, other) = (context("default"), context("other"));
    let sealed = wait_for(key.seal(PLAINTEXT, &bound)).expect("the primary key is enabled");
    let opened = aead.decrypt(&sealed, bound.as_bytes());
    assert_eq!(opened.expect("we sealed it"), PLAINTEXT);
    assert!(aead.decrypt(&sealed, other.as_bytes()).is_err());

    let sealed = aead.encrypt(PLAINTEXT, bound.as_bytes());
    let sealed = sealed.expect("the primary key is enabled");
    let opened = wait_for(key.open(&sealed, &bound)).expect("Tink sealed it");
    assert_eq!(*opened, PLAINTEXT);

    for alone in tink.each_key().filter_map(|key| key.aead()) {
        let sealed = alone.encrypt(PLAINTEXT, bound.as_bytes());
        let sealed = sealed.expect("the only key is enabled");
        for context in [&bound, &other] {
            let ours = wait_for(key.open(&sealed, context)).ok();
            let theirs = aead.decrypt(&sealed, context.as_bytes()).ok();
            assert_eq!(ours.as_deref(), theirs.as_ref());
        }
    }
}

fn signs(signer: &dyn Signer) {
    let signature = wait_for(signer.sign(PLAINTEXT)).expect("the primary key is enabled");
    let public = wait_for(signer.public_key(signature.version.as_deref()));
    let public = public.expect("the key that signed exists");
    assert!(public.verify(PLAINTEXT, &signature));
    assert!(!public.verify(OTHER, &signature));
}

/// Each verifies what the other one signs, under every key.
fn signs_as_tink(signer: &dyn Signer, tink: &TinkKeyset, json: &[u8]) {
    let Some(tinks_signer) = tink.signer() else {
        assert!(tink.leniency().is_some(), "Tink refuses it");
        return;
    };
    assert_eq!(tink.refusals(json), []);
    let verifier = tink.verifier().expect("each private key has a public key");
    let signature = wait_for(signer.sign(PLAINTEXT)).expect("the primary key is enabled");
    let signature = signature.to_tink().expect("a version is the id of a key");
    assert!(verifier.verify(&signature, PLAINTEXT).is_ok());
    assert!(verifier.verify(&signature, OTHER).is_err());

    let signature = tinks_signer.sign(PLAINTEXT);
    let signature = signature.expect("the primary key is enabled");
    assert!(verifies(signer, PLAINTEXT, &signature) || tink.repeats(tink.primary()));

    for alone in tink.each_key() {
        // A destroyed key can have any material.
        let Some(tinks_signer) = alone.signer() else {
            continue;
        };
        let signature = tinks_signer.sign(PLAINTEXT);
        let signature = signature.expect("the only key is enabled");
        let ours = verifies(signer, PLAINTEXT, &signature);
        let theirs = verifier.verify(&signature, PLAINTEXT).is_ok();
        // We have one public key for each id.
        assert!(ours == theirs || theirs && tink.repeats(alone.primary()));
        assert!(!verifies(signer, OTHER, &signature));
    }
}

/// Whether the public key that a signature of Tink names accepts it.
fn verifies(signer: &dyn Signer, data: &[u8], signature: &[u8]) -> bool {
    let uri = signer.uri().clone();
    // The algorithm is that of the public key, which the signature has to name.
    let named = Signature::from_tink(uri, SignatureAlgorithm::Ed25519, signature);
    let named = named.expect("it has Tink's prefix");
    let public = wait_for(signer.public_key(named.version.as_deref()));
    public.is_ok_and(|public| {
        let signature = named.with_algorithm(public.algorithm());
        public.verify(data, &signature)
    })
}

/// Tink cannot parse a keyset that we accept.
fn check_damage(json: &[u8]) {
    if let Some(keyset) = keyset_value(json) {
        assert!(has_damaged_remains(&keyset), "Tink cannot parse it");
    }
}

/// The id of the primary key and the secrets with this id, by another parser.
fn primary(keyset: &Value) -> (u32, Vec<[u8; 32]>) {
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
