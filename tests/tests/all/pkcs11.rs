//! PKCS#11 keys in `SoftHSM`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod admin;
mod recovery;
mod sign;
mod token;
mod wrap;

use std::{
    collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration,
};

use cryptoki::{
    mechanism::Mechanism,
    object::{Attribute, AttributeType, ObjectClass},
};
use integration_tests::softhsm::{SoftHsm, isolated};
use temporal_kms_codec::{
    Codec, Dek, EncryptionContext, Format, KeyUri, Namespace, Payload, WrappedDek,
    kms::{
        CallPolicy, KeyAdmin, KeyProvider, KeyPurpose, KeyRole, KeySpec, KeyState, Kms, Protection,
        ProviderError, ProviderErrorKind as Kind, Signer,
        pkcs11::{Pkcs11Kms, Pkcs11Options},
    },
};
use tokio::time::{sleep, timeout};

fn options(pkcs11: Pkcs11Options) -> Kms {
    Kms::builder()
        .with_service(Pkcs11Kms::new(pkcs11))
        .calls(CallPolicy::once())
        .build()
}

async fn open(hsm: &SoftHsm, label: &str) -> Arc<dyn KeyProvider> {
    options(hsm.options())
        .key(&hsm.key(label))
        .await
        .expect("a key")
}

async fn open_signer(hsm: &SoftHsm, label: &str) -> Arc<dyn Signer> {
    options(hsm.options())
        .signer(&hsm.key(label))
        .await
        .expect("a key")
}

async fn admin(hsm: &SoftHsm) -> Arc<dyn KeyAdmin> {
    options(hsm.options())
        .admin(&hsm.key("any"))
        .await
        .expect("the token")
}

/// A key that encrypts, made by the provider.
async fn made(hsm: &SoftHsm, label: &str) -> Arc<dyn KeyProvider> {
    let spec = KeySpec::default();
    admin(hsm)
        .await
        .create(&hsm.key(label), &spec)
        .await
        .expect("made");
    open(hsm, label).await
}

async fn made_signer(hsm: &SoftHsm, label: &str) -> Arc<dyn Signer> {
    let spec = KeySpec::default().with_purpose(KeyPurpose::SignP256);
    admin(hsm)
        .await
        .create(&hsm.key(label), &spec)
        .await
        .expect("made");
    open_signer(hsm, label).await
}

/// A key that another program made.
fn generate(hsm: &SoftHsm, label: &str, id: &[u8], usage: &[Attribute]) {
    let mut template = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::ValueLen(32.into()),
        Attribute::Label(label.into()),
        Attribute::Id(id.to_vec()),
    ];
    template.extend_from_slice(usage);
    let session = hsm.session();
    session
        .generate_key(&Mechanism::AesKeyGen, &template)
        .expect("generated");
}

fn only_encrypts() -> [Attribute; 4] {
    [
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
    ]
}

fn only_wraps() -> [Attribute; 4] {
    [
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Wrap(true),
        Attribute::Unwrap(true),
    ]
}

fn context(namespace: &str) -> EncryptionContext {
    EncryptionContext::parse(format!(r#"{{"namespace":"{namespace}"}}"#).as_bytes())
        .expect("a context")
}

async fn wrap(key: &dyn KeyProvider) -> WrappedDek {
    key.wrap(&Dek::new([7; 32]), &context("a"))
        .await
        .expect("wrapped")
}

async fn unwrap(key: &dyn KeyProvider, wrapped: &WrappedDek) -> Result<[u8; 32], Kind> {
    let dek = key.unwrap(wrapped, &context("a")).await;
    dek.map(|dek| *dek.expose()).map_err(|error| error.kind())
}
