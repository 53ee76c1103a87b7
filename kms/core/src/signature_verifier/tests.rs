//! Batches of signatures, by keys whose service answers, fails or refuses.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use async_trait::async_trait;
use ed25519_dalek::{Signer as _, SigningKey};

use super::*;
use crate::{FailureCause, SignatureAlgorithm};

const VALID: Result<bool, ProviderErrorKind> = Ok(true);
const INVALID: Result<bool, ProviderErrorKind> = Ok(false);
const BEYOND: Result<bool, ProviderErrorKind> = Err(ProviderErrorKind::Unsupported);

/// A key with the versions from 1 to `newest`. Without versions it does not exist.
#[derive(Debug)]
struct Key {
    uri: KeyUri,
    newest: AtomicUsize,
    calls: AtomicUsize,
    /// How some of the calls fail.
    fault: Option<Fault>,
}

/// The calls with these numbers fail. The first call has the number 0.
#[derive(Debug)]
struct Fault {
    calls: Range<usize>,
    kind: ProviderErrorKind,
    cause: Option<FailureCause>,
}

impl Fault {
    fn new(kind: ProviderErrorKind, calls: Range<usize>) -> Self {
        Self {
            calls,
            kind,
            cause: None,
        }
    }

    /// The service is unreachable from a call on.
    fn unreachable(from: usize) -> Self {
        Self::new(ProviderErrorKind::Unavailable, from..usize::MAX)
    }
}

impl Key {
    fn new(name: &str, newest: usize) -> Arc<Self> {
        Self::with_fault(name, newest, None)
    }

    fn failing(name: &str, newest: usize, fault: Fault) -> Arc<Self> {
        Self::with_fault(name, newest, Some(fault))
    }

    fn with_fault(name: &str, newest: usize, fault: Option<Fault>) -> Arc<Self> {
        Arc::new(Self {
            uri: uri(name),
            newest: AtomicUsize::new(newest),
            calls: AtomicUsize::new(0),
            fault,
        })
    }

    fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }

    /// A signature that names an invented version.
    fn invented(&self, version: &str) -> Signature {
        signed(&self.uri, 1, b"data").with_version(Some(version.to_owned()))
    }
}

#[async_trait]
impl Signer for Key {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    async fn sign(&self, data: &[u8]) -> Result<Signature, ProviderError> {
        Ok(signed(&self.uri, 1, data))
    }

    async fn public_key(&self, version: Option<&str>) -> Result<PublicKey, ProviderError> {
        let call = self.calls.fetch_add(1, Relaxed);
        // Other calls start meanwhile, as with a service.
        tokio::task::yield_now().await;
        let failed = |kind| ProviderError::new(kind, &self.uri);
        if let Some(fault) = &self.fault
            && fault.calls.contains(&call)
        {
            return Err(failed(fault.kind).with_cause(fault.cause));
        }
        let version = version.unwrap_or("1").parse::<u8>().unwrap_or(0);
        let versions = 1..=self.newest.load(Relaxed);
        if !versions.contains(&usize::from(version)) {
            return Err(failed(ProviderErrorKind::KeyNotFound));
        }
        Ok(public_key(version))
    }
}

fn uri(name: &str) -> KeyUri {
    format!("local://{name}").parse().unwrap()
}

fn private_key(version: u8) -> SigningKey {
    SigningKey::from_bytes(&[version; 32])
}

fn public_key(version: u8) -> PublicKey {
    let public = private_key(version).verifying_key();
    PublicKey::from_ed25519_bytes(public.as_bytes()).unwrap()
}

fn signed(key: &KeyUri, version: u8, data: &[u8]) -> Signature {
    let bytes = private_key(version).sign(data).to_bytes().to_vec();
    Signature::new(key.clone(), SignatureAlgorithm::Ed25519, bytes)
        .with_version(Some(version.to_string()))
}

fn verifier(key: &Arc<Key>) -> SignatureVerifier {
    SignatureVerifier::new().with_signer(key.clone())
}

/// Whether each is valid, or the kind of its error.
async fn verified(
    verifier: &SignatureVerifier,
    signatures: &[Signature],
) -> Vec<Result<bool, ProviderErrorKind>> {
    let batch: Vec<_> = signatures
        .iter()
        .map(|signature| (&b"data"[..], signature))
        .collect();
    let results = verifier.verify_all(&batch).await.into_iter();
    results
        .map(|result| result.map_err(|error| error.kind()))
        .collect()
}

#[tokio::test]
async fn a_batch_asks_once_for_each_version_and_tells_of_each_signature() {
    let key = Key::new("a", 2);
    let verifier = verifier(&key);
    let mut signatures: Vec<_> = (0..100)
        .map(|index| signed(&key.uri, 1 + index % 2, b"data"))
        .collect();
    signatures.insert(50, signed(&key.uri, 1, b"other data"));
    // Named as a version that did not sign.
    signatures.push(key.invented("2"));
    let mut expected = vec![VALID; 102];
    expected[50] = INVALID;
    expected[101] = INVALID;
    assert_eq!(verified(&verifier, &signatures).await, expected);
    assert_eq!(key.calls(), 2);
    assert!(verifier.verify(b"data", &signatures[0]).await.unwrap());
    assert!(!verifier.verify(b"Data", &signatures[0]).await.unwrap());
}

#[tokio::test]
async fn foreign_keys_and_absent_versions_are_false() {
    let key = Key::new("a", 1);
    let verifier = verifier(&key);
    let foreign = signed(&uri("b"), 1, b"data");
    let signatures = [foreign, key.invented("77"), key.invented("78")];
    assert_eq!(verified(&verifier, &signatures).await, [INVALID; 3]);
    // One for each version, and one to see that the key exists.
    assert_eq!(key.calls(), 3);
    // The genuine version shows that the key exists.
    let signatures = [key.invented("77"), signed(&key.uri, 1, b"data")];
    assert_eq!(verified(&verifier, &signatures).await, [INVALID, VALID]);
    assert_eq!(key.calls(), 5);
}

#[tokio::test]
async fn a_key_that_does_not_exist_is_an_error_and_asked_for_once() {
    let key = Key::new("a", 0);
    let mut signatures = vec![key.invented("1"), key.invented("2"), key.invented("2")];
    let missing: Result<bool, _> = Err(ProviderErrorKind::KeyNotFound);
    assert_eq!(verified(&verifier(&key), &signatures).await, [missing; 3]);
    assert_eq!(key.calls(), 3);
    // A signature without a version asks the same.
    signatures.push(signed(&key.uri, 1, b"data").with_version(None));
    assert_eq!(verified(&verifier(&key), &signatures).await, [missing; 4]);
    assert_eq!(key.calls(), 6);
}

#[tokio::test]
async fn a_version_that_is_created_later_counts_in_the_next_batch() {
    let key = Key::new("a", 1);
    let verifier = verifier(&key);
    let signatures = [1, 2].map(|version| signed(&key.uri, version, b"data"));
    assert_eq!(verified(&verifier, &signatures).await, [VALID, INVALID]);
    key.newest.store(2, Relaxed);
    assert_eq!(verified(&verifier, &signatures).await, [VALID, VALID]);
}

#[tokio::test]
async fn an_unreachable_service_is_asked_once() {
    let (good, bad) = (
        Key::new("good", 1),
        Key::failing("bad", 9, Fault::unreachable(0)),
    );
    let verifier = verifier(&good).with_signer(bad.clone());
    let mut signatures: Vec<_> = (1..=9)
        .map(|version| signed(&bad.uri, version, b"data"))
        .collect();
    signatures.push(signed(&good.uri, 1, b"data"));
    let mut expected = vec![Err(ProviderErrorKind::Unavailable); 9];
    expected.push(VALID);
    assert_eq!(verified(&verifier, &signatures).await, expected);
    assert_eq!(bad.calls(), 1);
}

#[tokio::test]
async fn a_service_that_fails_half_way_is_not_asked_for_what_is_left() {
    let key = Key::failing("a", 60, Fault::unreachable(1));
    let signatures: Vec<_> = (1..=60)
        .map(|version| signed(&key.uri, version, b"data"))
        .collect();
    let mut expected = vec![Err(ProviderErrorKind::Unavailable); 60];
    expected[0] = VALID;
    assert_eq!(verified(&verifier(&key), &signatures).await, expected);
    assert_eq!(key.calls(), 1 + CALLS_AT_ONCE);
}

#[tokio::test]
async fn a_refused_caller_asks_once_for_a_key() {
    let refused = [
        (ProviderErrorKind::PermissionDenied, None),
        (
            ProviderErrorKind::Misconfigured,
            Some(FailureCause::RefusedCredentials),
        ),
        (ProviderErrorKind::Unsupported, None),
    ];
    for (kind, cause) in refused {
        let fault = Fault {
            cause,
            ..Fault::new(kind, 0..usize::MAX)
        };
        let key = Key::failing("a", 1, fault);
        let mut signatures: Vec<_> = (1000..1063)
            .map(|version: u32| key.invented(&version.to_string()))
            .collect();
        signatures.push(signed(&key.uri, 1, b"data"));
        let results = verified(&verifier(&key), &signatures).await;
        assert_eq!(results, vec![Err(kind); 64], "{kind:?}");
        assert_eq!(key.calls(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn an_error_of_one_version_leaves_the_others() {
    for kind in [
        ProviderErrorKind::Integrity,
        ProviderErrorKind::KeyDisabled,
        ProviderErrorKind::KeyVersionGone,
        ProviderErrorKind::Misconfigured,
    ] {
        let key = Key::failing("a", 3, Fault::new(kind, 0..1));
        let signatures = [1, 2, 3].map(|version| signed(&key.uri, version, b"data"));
        let expected = [Err(kind), VALID, VALID];
        let results = verified(&verifier(&key), &signatures).await;
        assert_eq!(results, expected, "{kind:?}");
        assert_eq!(key.calls(), 3, "{kind:?}");
    }
}

#[tokio::test]
async fn invented_versions_in_front_do_not_push_out_genuine_ones() {
    let key = Key::new("a", 1);
    let mut signatures: Vec<_> = (1000..1100)
        .map(|version: u32| key.invented(&version.to_string()))
        .collect();
    signatures.extend([1, 1].map(|version| signed(&key.uri, version, b"data")));
    let results = verified(&verifier(&key), &signatures).await;
    assert_eq!(results[100..], [VALID, VALID]);
    // One lookup is the genuine version's.
    assert_eq!(results[..63], [INVALID; 63]);
    assert_eq!(results[63..100], [BEYOND; 37]);
    assert_eq!(key.calls(), SignatureVerifier::MAX_VERSIONS);

    let batch: Vec<_> = signatures
        .iter()
        .map(|signature| (&b"data"[..], signature))
        .collect();
    let error = verifier(&key).verify_all(&batch).await.remove(99);
    let error = error.unwrap_err();
    assert!(!error.is_transient());
    let text = error.to_string();
    assert!(text.contains("more than 64 versions"), "{text}");
    assert!(text.contains("local://a"), "{text}");
}

#[tokio::test]
async fn versions_that_are_too_long_are_false_without_a_call() {
    let key = Key::new("a", 1);
    let long = key.invented(&"1".repeat(257));
    assert!(!key.verify(b"data", &long).await.unwrap());
    let signatures = vec![long; 3];
    assert_eq!(verified(&verifier(&key), &signatures).await, [INVALID; 3]);
    assert_eq!(key.calls(), 0);
    let longest = [key.invented(&"7".repeat(256))];
    assert_eq!(verified(&verifier(&key), &longest).await, [INVALID]);
    assert_eq!(key.calls(), 2);
}

#[tokio::test]
async fn given_public_keys_need_no_call() {
    let key = Key::new("a", 9);
    let given = || {
        (1..=70).fold(SignatureVerifier::new(), |verifier, version: u8| {
            let named = Some(version.to_string());
            verifier.with_public_key(uri("a"), named, public_key(version))
        })
    };
    let signatures: Vec<_> = (1..=71)
        .map(|version| signed(&uri("a"), version, b"data"))
        .collect();
    let mut expected = vec![VALID; 71];
    expected[70] = INVALID;
    assert_eq!(verified(&given(), &signatures).await, expected);
    // The signer is asked for the others.
    let with_signer = given().with_signer(key.clone());
    assert_eq!(verified(&with_signer, &signatures).await, expected);
    // One for the version, and one to see that the key exists.
    assert_eq!(key.calls(), 2);
}
