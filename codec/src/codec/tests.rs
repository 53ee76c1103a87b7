//! The codec over local keys.

mod attack;
mod confusion;
mod foreign;
mod keys;
mod layers;
mod outage;
mod policy;
mod round_trips;
mod sealed_already;
mod steps;
mod warm;

use std::time::Duration;

use tempfile::TempDir;
use temporal_kms::{
    Operation,
    faulty::{Answer, FaultyKey},
};
use temporal_kms_local::LocalKeyring;

use super::*;
use crate::{
    CodecBuilder, ConfigurationError, Dek, EncryptionContext, Payload, PayloadError,
    PayloadExt as _, PlaintextPolicy, RequiredContext,
    kms::{KeyProvider, ProviderErrorKind},
};

fn keyring() -> (TempDir, LocalKeyring) {
    let folder = TempDir::new().unwrap();
    let keyring = LocalKeyring::open(folder.path());
    (folder, keyring)
}

fn builder(namespace: &str) -> CodecBuilder {
    Codec::builder(Namespace::new(namespace).unwrap())
}

fn payload(text: &str) -> Payload {
    Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: text.as_bytes().to_vec(),
        external_payloads: vec![],
    }
}

fn payloads(count: usize) -> Vec<Payload> {
    (0..count)
        .map(|n| payload(&format!("\"secret {n}\"")))
        .collect()
}

async fn seal(codec: &Codec, text: &str) -> Payload {
    codec.encode(vec![payload(text)]).await.unwrap().remove(0)
}

/// Every format.
const FORMATS: [Format; 3] = [Format::Envelope, Format::EnvelopeV1, Format::Direct];

fn foreign_namespace(found: Option<&str>, expected: &str) -> PayloadError {
    PayloadError::ForeignNamespace {
        found: found.map(str::to_owned),
        expected: expected.to_owned(),
    }
}

fn key_not_allowed(key: &str) -> PayloadError {
    PayloadError::KeyNotAllowed {
        key: key.to_owned(),
    }
}

async fn refusal(codec: &Codec, payload: Payload) -> PayloadError {
    match codec.decode(vec![payload]).await {
        Err(Error::Payload(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Fails to unwrap and decrypt only: a caller that may only encrypt.
fn fail_opening(key: &FaultyKey, kind: ProviderErrorKind) {
    key.always_for(
        &[Operation::Unwrap, Operation::Decrypt],
        Answer::Fails(kind),
    );
}

/// Grants data keys under one context and no description, as a strict key policy does.
fn grant_only(key: &FaultyKey, granted: EncryptionContext) {
    key.recover();
    key.script(move |call| {
        let is_asked = [Operation::Wrap, Operation::Describe].contains(&call.operation);
        let is_granted = call.context == Some(&granted);
        (is_asked && !is_granted).then_some(Answer::Fails(ProviderErrorKind::PermissionDenied))
    });
}
