//! What a key management service's failures make of a request.

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use tempfile::TempDir;
use temporal_kms_codec::{
    Dek, EncryptionContext, KeyUri, Namespace, WrappedDek,
    kms::{KeyDescription, KeyProvider, ProviderError, ProviderErrorKind, local::LocalKeyring},
};

use super::*;

/// A key whose service fails each call in the same way.
#[derive(Debug)]
struct Failing {
    uri: KeyUri,
    kind: ProviderErrorKind,
}

impl Failing {
    fn error(&self) -> ProviderError {
        ProviderError::new(self.kind, &self.uri)
    }
}

#[async_trait]
impl KeyProvider for Failing {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    async fn wrap(&self, _: &Dek, _: &EncryptionContext) -> Result<WrappedDek, ProviderError> {
        Err(self.error())
    }

    async fn unwrap(&self, _: &WrappedDek, _: &EncryptionContext) -> Result<Dek, ProviderError> {
        Err(self.error())
    }

    fn max_plaintext(&self) -> usize {
        0
    }

    async fn encrypt(&self, _: &[u8]) -> Result<Vec<u8>, ProviderError> {
        Err(self.error())
    }

    async fn decrypt(&self, _: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, ProviderError> {
        Err(self.error())
    }

    async fn describe(&self) -> Result<KeyDescription, ProviderError> {
        Err(self.error())
    }
}

fn served(key: Arc<dyn KeyProvider>, on_undecodable: OnUndecodable) -> Served {
    let namespace = Namespace::new("default").unwrap();
    let codec = Codec::builder(namespace).encrypt_with(key).build().unwrap();
    Served {
        codec,
        on_undecodable,
    }
}

async fn run(served: &Served, operation: Operation, body: &[u8]) -> Result<Done, Refusal> {
    let limits = Limits::default();
    let request = Request {
        operation,
        served,
        preserve_storage_refs: false,
        limits: &limits,
    };
    request.run(body.to_vec()).await
}

/// A body that a key of the same name encrypted while its service was there.
async fn sealed() -> (TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let key = LocalKeyring::open(folder.path())
        .key_or_create("default")
        .unwrap();
    let served = served(key, OnUndecodable::Fail);
    let done = run(
        &served,
        Operation::Encode,
        br#"{"payloads":[{"data":"QQ=="}]}"#,
    )
    .await
    .unwrap();
    (folder, done.answer.to_vec())
}

fn failing(kind: ProviderErrorKind, on_undecodable: OnUndecodable) -> Served {
    let uri = "local://default".parse().unwrap();
    served(Arc::new(Failing { uri, kind }), on_undecodable)
}

#[tokio::test]
async fn while_the_service_is_away_requests_fail_even_where_placeholders_are_wanted() {
    let (_folder, body) = sealed().await;
    for on_undecodable in [OnUndecodable::Fail, OnUndecodable::Placeholder] {
        let served = failing(ProviderErrorKind::Unavailable, on_undecodable);
        for operation in [Operation::Decode, Operation::Encode] {
            let plain = br#"{"payloads":[{"data":"QQ=="}]}"#.to_vec();
            let body = if operation == Operation::Decode {
                body.clone()
            } else {
                plain
            };
            let refusal = run(&served, operation, &body).await.err().unwrap();
            assert_eq!(
                refusal.status(),
                StatusCode::SERVICE_UNAVAILABLE,
                "{refusal}"
            );
        }
    }
}

#[tokio::test]
async fn a_key_that_is_gone_makes_a_placeholder() {
    let (_folder, body) = sealed().await;
    let served = failing(ProviderErrorKind::KeyDisabled, OnUndecodable::Placeholder);
    let done = run(&served, Operation::Decode, &body).await.unwrap();
    let limits = json::Limits { max_payloads: 1 };
    let payloads = json::parse_payloads(&done.answer, &limits)
        .unwrap()
        .payloads;
    assert_eq!(payloads[0].metadata["codec-error"], b"key-disabled");
}
