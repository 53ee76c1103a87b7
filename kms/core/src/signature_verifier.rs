//! Verifies many signatures with few calls: the [`SignatureVerifier`].

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{
    FutureExt as _,
    future::BoxFuture,
    stream::{self, StreamExt as _},
};
use parking_lot::Mutex;

use crate::{
    KeyUri, ProviderError, ProviderErrorKind, PublicKey, Signature, Signer,
    signer::{check_exists, look_up, names_impossible_version},
};

/// Calls of one batch that run at the same time.
const CALLS_AT_ONCE: usize = 8;
/// After so many signatures, other tasks of the same thread run.
const IN_A_ROW: usize = 32;

/// Verifies signatures of the keys that it was given. It asks a key service for the public key of each version once for
/// a batch, and verifies in this process.
///
/// [`Signer::verify`] is enough for single signatures. This type is for many: a thousand signatures by two versions of a
/// key need two calls, or none if the [`Signer`] still has the public keys.
///
/// - A signature by a key that the verifier was not given is not valid. It causes no call. The same is true for a version
///   of more than 256 bytes.
/// - One batch looks up at most [`MAX_VERSIONS`](Self::MAX_VERSIONS) versions, the ones that it names most often. So
///   invented versions cause a bounded number of calls. An attacker who invents versions once each cannot push out a
///   version that the batch names twice. Verify signatures of different senders in different batches.
/// - A batch makes at most eight calls at the same time. Batches that run at the same time do not share their calls.
/// - The verifier keeps no public key between batches. A version that is created later counts from the next batch on.
/// - A [`CallObserver`](crate::CallObserver) is told of each public key that is looked up, not of each signature.
///
/// # Versions that must not count any more
///
/// Disabling or destroying a version at its service does **not** end the verification of its signatures. Signers keep
/// public keys, those of Cloud KMS and AWS KMS without an expiry, because the public key of a version never changes. To
/// exclude a version, give the verifier the public keys that count, with
/// [`with_public_key`](Self::with_public_key), and do not give it the signer.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use temporal_kms::{ProviderError, Signature, Signer, SignatureVerifier};
/// # async fn example(
/// #     signer: Arc<dyn Signer>,
/// #     received: Vec<(Vec<u8>, Signature)>,
/// # ) -> Result<(), ProviderError> {
/// let verifier = SignatureVerifier::new().with_signer(signer);
/// let batch: Vec<_> = received
///     .iter()
///     .map(|(data, signature)| (data.as_slice(), signature))
///     .collect();
/// for (result, (data, _)) in verifier.verify_all(&batch).await.into_iter().zip(&batch) {
///     if !result? {
///         println!("{} bytes are not signed", data.len());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct SignatureVerifier {
    signers: BTreeMap<KeyUri, Arc<dyn Signer>>,
    /// By key and version. They need no service.
    given: BTreeMap<KeyUri, BTreeMap<Option<String>, PublicKey>>,
}

/// A key, and the version that a signature names.
type Named<'s> = (&'s KeyUri, Option<&'s str>);

/// What a service says of a version. `None` when the key has no such version.
type Answer = Result<Option<PublicKey>, ProviderError>;

impl SignatureVerifier {
    /// The versions that one batch looks up at most. Given public keys do not count.
    pub const MAX_VERSIONS: usize = 64;

    /// A verifier without keys: no signature is valid.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts signatures of this key by all of its versions. Its service is asked for their public keys.
    #[must_use]
    pub fn with_signer(mut self, signer: Arc<dyn Signer>) -> Self {
        self.signers.insert(signer.uri().clone(), signer);
        self
    }

    /// Accepts signatures of one version of `key`, without its service. `version` is the one that a [`Signature`] names:
    /// `None` for keys that have only one.
    #[must_use]
    pub fn with_public_key(
        mut self,
        key: KeyUri,
        version: impl Into<Option<String>>,
        public_key: PublicKey,
    ) -> Self {
        let versions = self.given.entry(key).or_default();
        versions.insert(version.into(), public_key);
        self
    }

    /// Whether `signature` is one of `data`, by a key of this verifier. This is a batch of one signature.
    ///
    /// # Errors
    /// When the key service refuses or fails, so that the answer is unknown.
    pub async fn verify(&self, data: &[u8], signature: &Signature) -> Result<bool, ProviderError> {
        let answers = self.look_up(&[(data, signature)]).await;
        self.result(data, signature, &answers)
    }

    /// Verifies a batch. The results have the order of `signed`, and one bad signature spoils no other.
    ///
    /// # Errors
    /// A result is an error when the key service refuses or fails, so that the answer is unknown. Signatures by the same
    /// version get the same error.
    ///
    /// After a transient error of a key, the batch asks for no further version of the key. Signatures by the versions
    /// that are not known yet get this error, too. The first call for a key runs alone, so a service that is unreachable
    /// is called once for each of its keys.
    ///
    /// Signatures by versions beyond [`MAX_VERSIONS`](Self::MAX_VERSIONS) get an error of the kind
    /// [`ProviderErrorKind::Unsupported`], without a call. The same batch fails again. Verify fewer signatures at once.
    pub async fn verify_all(
        &self,
        signed: &[(&[u8], &Signature)],
    ) -> Vec<Result<bool, ProviderError>> {
        let answers = self.look_up(signed).await;
        let mut results = Vec::with_capacity(signed.len());
        for (index, (data, signature)) in signed.iter().enumerate() {
            if index % IN_A_ROW == IN_A_ROW - 1 {
                tokio::task::yield_now().await;
            }
            results.push(self.result(data, signature, &answers));
        }
        results
    }

    /// Asks the services for what a batch needs.
    async fn look_up<'s>(&self, signed: &[(&[u8], &'s Signature)]) -> BTreeMap<Named<'s>, Answer> {
        let mut keys = BTreeSet::new();
        let wanted = self.wanted(signed).into_iter();
        // A service that is unreachable shows with the first call for a key.
        let (first, others): (Vec<_>, Vec<_>) = wanted.partition(|(key, _)| keys.insert(*key));
        let mut lookups = Lookups {
            signers: &self.signers,
            answers: BTreeMap::new(),
            failed: Mutex::default(),
        };
        lookups.versions(first).await;
        lookups.versions(others).await;
        lookups.missing_keys().await;
        lookups.answers
    }

    /// The versions to look up, those that the batch names most often first. Among equals, the order of the batch
    /// decides.
    fn wanted<'s>(&self, signed: &[(&[u8], &'s Signature)]) -> Vec<Named<'s>> {
        let mut counts: BTreeMap<Named<'s>, (Reverse<usize>, usize)> = BTreeMap::new();
        for (index, (_, signature)) in signed.iter().enumerate() {
            if self.given(signature).is_none() && self.can_be_valid(signature) {
                let entry = counts.entry(named(signature));
                let (Reverse(count), _) = entry.or_insert((Reverse(0), index));
                *count += 1;
            }
        }
        let mut wanted: Vec<_> = counts.into_iter().collect();
        wanted.sort_unstable_by_key(|(_, rank)| *rank);
        wanted.truncate(Self::MAX_VERSIONS);
        wanted.into_iter().map(|(named, _)| named).collect()
    }

    fn result(
        &self,
        data: &[u8],
        signature: &Signature,
        answers: &BTreeMap<Named<'_>, Answer>,
    ) -> Result<bool, ProviderError> {
        if let Some(key) = self.given(signature) {
            return Ok(key.verify(data, signature));
        }
        if !self.can_be_valid(signature) {
            return Ok(false);
        }
        match answers.get(&named(signature)) {
            Some(Ok(key)) => Ok(key.as_ref().is_some_and(|key| key.verify(data, signature))),
            Some(Err(error)) => Err(error.clone()),
            None => Err(beyond_limit(&signature.key)),
        }
    }

    fn given(&self, signature: &Signature) -> Option<&PublicKey> {
        self.given.get(&signature.key)?.get(&signature.version)
    }

    /// Whether the key is a signer's, and can have the version.
    fn can_be_valid(&self, signature: &Signature) -> bool {
        self.signers.contains_key(&signature.key) && !names_impossible_version(signature)
    }
}

/// The calls of one batch.
struct Lookups<'v, 's> {
    signers: &'v BTreeMap<KeyUri, Arc<dyn Signer>>,
    answers: BTreeMap<Named<'s>, Answer>,
    /// Keys of which this batch asks nothing more.
    failed: Mutex<BTreeMap<&'s KeyUri, ProviderError>>,
}

impl<'s> Lookups<'_, 's> {
    /// Looks up versions.
    async fn versions(&mut self, wanted: Vec<Named<'s>>) {
        let calls = wanted.into_iter().map(|named| self.version(named).boxed());
        let answers = some_at_a_time(calls.collect()).await;
        self.answers.extend(answers);
    }

    async fn version(&self, named: Named<'s>) -> (Named<'s>, Answer) {
        let (key, version) = named;
        let failed = self.failed.lock().get(key).cloned();
        let answer = match (failed, self.signers.get(key)) {
            (Some(error), _) => Err(error),
            (None, Some(signer)) => look_up(&**signer, version).await,
            (None, None) => Ok(None),
        };
        if let Err(error) = &answer
            && error.is_transient()
        {
            self.failed.lock().insert(key, error.clone());
        }
        (named, answer)
    }

    /// Tells keys that do not exist from keys without the versions. Each key is asked for once, if no answer shows that
    /// it exists.
    async fn missing_keys(&mut self) {
        let mut unknown = BTreeSet::new();
        for ((key, _), answer) in &self.answers {
            if is_absent(answer) {
                unknown.insert(*key);
            }
        }
        for ((key, _), answer) in &self.answers {
            if matches!(answer, Ok(Some(_))) {
                unknown.remove(*key);
            }
        }
        let calls = unknown.into_iter().map(|key| self.check_key(key).boxed());
        let missing = some_at_a_time(calls.collect()).await;
        for (missing, error) in missing.into_iter().flatten() {
            for ((key, _), answer) in &mut self.answers {
                if *key == missing && is_absent(answer) {
                    *answer = Err(error.clone());
                }
            }
        }
    }

    /// The error of a key that does not exist, or of which that is not known.
    async fn check_key(&self, key: &'s KeyUri) -> Option<(&'s KeyUri, ProviderError)> {
        let failed = self.failed.lock().get(key).cloned();
        // The same question, if a signature names no version.
        let newest = self.answers.get(&(key, None)).cloned();
        let checked = match (failed, newest) {
            (Some(error), _) | (None, Some(Err(error))) => Err(error),
            (None, Some(Ok(_))) => Ok(()),
            (None, None) => check_exists(&**self.signers.get(key)?).await,
        };
        checked.err().map(|error| (key, error))
    }
}

fn named(signature: &Signature) -> Named<'_> {
    (&signature.key, signature.version.as_deref())
}

fn is_absent(answer: &Answer) -> bool {
    matches!(answer, Ok(None))
}

async fn some_at_a_time<T: Send>(calls: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let calls = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE);
    calls.collect().await
}

fn beyond_limit(key: &KeyUri) -> ProviderError {
    let limit = SignatureVerifier::MAX_VERSIONS;
    ProviderError::new(ProviderErrorKind::Unsupported, key).with_explanation(format!(
        "cannot verify a signature by {key}: the batch names more than {limit} versions, and this one is not among \
         the most frequent. Verify fewer signatures at once."
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use async_trait::async_trait;
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;
    use crate::SignatureAlgorithm;

    const VALID: Result<bool, ProviderErrorKind> = Ok(true);
    const INVALID: Result<bool, ProviderErrorKind> = Ok(false);
    const BEYOND: Result<bool, ProviderErrorKind> = Err(ProviderErrorKind::Unsupported);

    /// A key with the versions from 1 to `newest`. Without versions it does not exist.
    #[derive(Debug)]
    struct Key {
        uri: KeyUri,
        newest: AtomicUsize,
        calls: AtomicUsize,
        /// The call from which on the service is unreachable.
        fails_from: usize,
    }

    impl Key {
        fn new(name: &str, newest: usize) -> Arc<Self> {
            Self::failing(name, newest, usize::MAX)
        }

        fn failing(name: &str, newest: usize, fails_from: usize) -> Arc<Self> {
            Arc::new(Self {
                uri: uri(name),
                newest: AtomicUsize::new(newest),
                calls: AtomicUsize::new(0),
                fails_from,
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
            let failed = |kind| Err(ProviderError::new(kind, &self.uri));
            if call >= self.fails_from {
                return failed(ProviderErrorKind::Unavailable);
            }
            let version = version.unwrap_or("1").parse::<u8>().unwrap_or(0);
            let versions = 1..=self.newest.load(Relaxed);
            if !versions.contains(&usize::from(version)) {
                return failed(ProviderErrorKind::KeyNotFound);
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
        let (good, bad) = (Key::new("good", 1), Key::failing("bad", 9, 0));
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
        let key = Key::failing("a", 60, 1);
        let signatures: Vec<_> = (1..=60)
            .map(|version| signed(&key.uri, version, b"data"))
            .collect();
        let mut expected = vec![Err(ProviderErrorKind::Unavailable); 60];
        expected[0] = VALID;
        assert_eq!(verified(&verifier(&key), &signatures).await, expected);
        assert_eq!(key.calls(), 1 + CALLS_AT_ONCE);
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
}
