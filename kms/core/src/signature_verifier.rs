//! Verifies many signatures with few calls: the [`SignatureVerifier`].

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    KeyUri, ProviderError, ProviderErrorKind, PublicKey, Signature, Signer, signer::public_key_of,
};

const MAX_AGE: Duration = Duration::from_mins(5);
const MAX_LOOKUPS: usize = 64;
/// The public keys that are kept. A signature can name any version, so there must be a bound.
const MAX_KEPT: usize = 1024;
/// After so many signatures, other tasks of the same thread run.
const IN_A_ROW: usize = 32;

/// A key, and the version that a signature names.
type Named = (KeyUri, Option<String>);

/// Verifies signatures of the keys that it was given. It asks a key service once for the public key of a version, keeps
/// it, and verifies in this process.
///
/// [`Signer::verify`] is enough for single signatures. This type is for many: a thousand signatures by two versions of a
/// key need two calls.
///
/// - A signature by a key that the verifier was not given is not valid. It causes no call.
/// - A version that its service does not have is remembered, too.
/// - A public key is asked for again after [`with_max_age`](Self::with_max_age), five minutes by default. Until then,
///   signatures by a version that was disabled still verify, and an alias means the key that it meant before.
/// - At most 1,024 public keys are kept, and one batch asks for at most
///   [`with_max_lookups`](Self::with_max_lookups) of them. So signatures that name invented versions cause a bounded
///   number of calls.
/// - A [`CallObserver`](crate::CallObserver) is told of each public key that is fetched, not of each signature.
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
#[derive(Debug)]
pub struct SignatureVerifier {
    signers: Vec<Arc<dyn Signer>>,
    /// What needs no service.
    given: BTreeMap<Named, Arc<PublicKey>>,
    kept: Mutex<BTreeMap<Named, Kept>>,
    max_age: Duration,
    max_lookups: usize,
}

/// What signatures that name a version are verified with.
#[derive(Clone, Debug)]
enum Found {
    Key(Arc<PublicKey>),
    /// The key is foreign, or has no such version.
    Nothing,
}

/// The answer of a service.
#[derive(Debug)]
struct Kept {
    found: Found,
    since: Instant,
}

impl Found {
    fn verify(&self, data: &[u8], signature: &Signature) -> bool {
        match self {
            Self::Key(key) => key.verify(data, signature),
            Self::Nothing => false,
        }
    }
}

impl SignatureVerifier {
    /// A verifier without keys: no signature is valid.
    #[must_use]
    pub fn new() -> Self {
        Self {
            signers: Vec::new(),
            given: BTreeMap::new(),
            kept: Mutex::default(),
            max_age: MAX_AGE,
            max_lookups: MAX_LOOKUPS,
        }
    }

    /// Accepts signatures of this key by all of its versions. Its service is asked for their public keys.
    #[must_use]
    pub fn with_signer(mut self, signer: Arc<dyn Signer>) -> Self {
        self.signers.push(signer);
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
        self.given
            .insert((key, version.into()), Arc::new(public_key));
        self
    }

    /// Sets how long a fetched public key is used.
    #[must_use]
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Sets how many public keys one batch may ask for. The default is 64.
    #[must_use]
    pub fn with_max_lookups(mut self, max_lookups: usize) -> Self {
        self.max_lookups = max_lookups;
        self
    }

    /// Whether `signature` is one of `data`, by a key of this verifier.
    ///
    /// # Errors
    /// When the key service refuses or fails, so that the answer is unknown.
    pub async fn verify(&self, data: &[u8], signature: &Signature) -> Result<bool, ProviderError> {
        let named = (signature.key.clone(), signature.version.clone());
        let found = match self.known(&named) {
            Some(found) => found,
            None => self.fetch(&named).await?,
        };
        Ok(found.verify(data, signature))
    }

    /// Verifies a batch. The results have the order of `signed`, and one bad signature spoils no other.
    ///
    /// # Errors
    /// A result is an error when the key service refuses or fails, so that the answer is unknown. A version is asked for
    /// once, and its failure is the result of all its signatures. The error is [`ProviderErrorKind::Throttled`], without
    /// a call, for signatures beyond [`with_max_lookups`](Self::with_max_lookups): verify those again, or not at all if
    /// they are from a stranger.
    pub async fn verify_all(
        &self,
        signed: &[(&[u8], &Signature)],
    ) -> Vec<Result<bool, ProviderError>> {
        let mut named_here: BTreeMap<Named, Result<Found, ProviderError>> = BTreeMap::new();
        let mut lookups = 0;
        let mut results = Vec::with_capacity(signed.len());
        for (index, (data, signature)) in signed.iter().enumerate() {
            if index % IN_A_ROW == IN_A_ROW - 1 {
                tokio::task::yield_now().await;
            }
            let named = (signature.key.clone(), signature.version.clone());
            let found = if let Some(found) = named_here.get(&named) {
                found.clone()
            } else {
                let found = self.find(&named, &mut lookups).await;
                named_here.insert(named, found.clone());
                found
            };
            results.push(found.map(|found| found.verify(data, signature)));
        }
        results
    }

    /// What is found of a version, with a call if `lookups` permits one more.
    async fn find(&self, named: &Named, lookups: &mut usize) -> Result<Found, ProviderError> {
        if let Some(known) = self.known(named) {
            return Ok(known);
        }
        if *lookups == self.max_lookups {
            return Err(
                ProviderError::new(ProviderErrorKind::Throttled, &named.0).with_detail(
                    "the signatures of this batch name too many versions; verify fewer at once",
                ),
            );
        }
        *lookups += 1;
        self.fetch(named).await
    }

    /// What is known of a version without a call.
    fn known(&self, named: &Named) -> Option<Found> {
        if let Some(key) = self.given.get(named) {
            return Some(Found::Key(key.clone()));
        }
        if self.signer(&named.0).is_none() {
            return Some(Found::Nothing);
        }
        let kept = self.kept.lock();
        let fresh = kept
            .get(named)
            .filter(|kept| kept.since.elapsed() < self.max_age);
        fresh.map(|kept| kept.found.clone())
    }

    async fn fetch(&self, named: &Named) -> Result<Found, ProviderError> {
        let Some(signer) = self.signer(&named.0) else {
            return Ok(Found::Nothing);
        };
        let found = match public_key_of(&**signer, named.1.as_deref()).await? {
            Some(key) => Found::Key(Arc::new(key)),
            None => Found::Nothing,
        };
        self.keep(named, found.clone());
        Ok(found)
    }

    fn signer(&self, key: &KeyUri) -> Option<&Arc<dyn Signer>> {
        self.signers.iter().find(|signer| signer.uri() == key)
    }

    fn keep(&self, named: &Named, found: Found) {
        let mut kept = self.kept.lock();
        if kept.len() >= MAX_KEPT {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.since);
            if let Some(oldest) = oldest.map(|(named, _)| named.clone()) {
                kept.remove(&oldest);
            }
        }
        let since = Instant::now();
        kept.insert(named.clone(), Kept { found, since });
    }
}

impl Default for SignatureVerifier {
    fn default() -> Self {
        Self::new()
    }
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

    /// A key with the versions 1 to 9, whose service fails where `fails` is set.
    #[derive(Debug)]
    struct Key {
        uri: KeyUri,
        calls: AtomicUsize,
        fails: bool,
    }

    impl Key {
        fn new(name: &str, fails: bool) -> Arc<Self> {
            Arc::new(Self {
                uri: uri(name),
                calls: AtomicUsize::new(0),
                fails,
            })
        }

        fn calls(&self) -> usize {
            self.calls.load(Relaxed)
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
            self.calls.fetch_add(1, Relaxed);
            if self.fails {
                return Err(ProviderError::new(
                    ProviderErrorKind::Unavailable,
                    &self.uri,
                ));
            }
            match version.unwrap_or("1").parse::<u8>() {
                Ok(version @ 1..=9) => Ok(public_key(version)),
                _ => Err(ProviderError::new(
                    ProviderErrorKind::KeyNotFound,
                    &self.uri,
                )),
            }
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
        let key = Key::new("a", false);
        let verifier = SignatureVerifier::new().with_signer(key.clone());
        let mut signatures: Vec<_> = (0..100)
            .map(|index| signed(&key.uri, 1 + index % 2, b"data"))
            .collect();
        signatures.insert(50, signed(&key.uri, 1, b"other data"));
        // Named as a version that did not sign.
        signatures.push(signed(&key.uri, 1, b"data").with_version(Some("2".to_owned())));
        let mut expected = vec![VALID; 102];
        expected[50] = INVALID;
        expected[101] = INVALID;
        assert_eq!(verified(&verifier, &signatures).await, expected);
        assert_eq!(key.calls(), 2);
        assert!(verifier.verify(b"data", &signatures[0]).await.unwrap());
        assert_eq!(key.calls(), 2);
    }

    #[tokio::test]
    async fn foreign_keys_and_absent_versions_are_false() {
        let key = Key::new("a", false);
        let verifier = SignatureVerifier::new().with_signer(key.clone());
        let foreign = signed(&uri("b"), 1, b"data");
        let absent = signed(&key.uri, 1, b"data").with_version(Some("77".to_owned()));
        let signatures = [foreign, absent.clone(), absent];
        assert_eq!(verified(&verifier, &signatures).await, [INVALID; 3]);
        // One for the version, and one to see that the key exists.
        assert_eq!(key.calls(), 2);
        assert_eq!(verified(&verifier, &signatures).await, [INVALID; 3]);
        assert_eq!(key.calls(), 2);
    }

    #[tokio::test]
    async fn a_service_that_fails_is_asked_once_for_each_version_of_a_batch() {
        let (good, bad) = (Key::new("good", false), Key::new("bad", true));
        let verifier = SignatureVerifier::new()
            .with_signer(good.clone())
            .with_signer(bad.clone());
        let signatures = [&bad, &good, &bad].map(|key| signed(&key.uri, 1, b"data"));
        let failed = Err(ProviderErrorKind::Unavailable);
        assert_eq!(
            verified(&verifier, &signatures).await,
            [failed, VALID, failed]
        );
        assert_eq!(bad.calls(), 1);
    }

    #[tokio::test]
    async fn invented_versions_cause_a_bounded_number_of_calls() {
        let key = Key::new("a", false);
        let verifier = SignatureVerifier::new()
            .with_signer(key.clone())
            .with_max_lookups(3);
        let signatures: Vec<_> = (1..=5)
            .map(|version| signed(&key.uri, version, b"data"))
            .collect();
        let beyond = Err(ProviderErrorKind::Throttled);
        let expected = [VALID, VALID, VALID, beyond, beyond];
        assert_eq!(verified(&verifier, &signatures).await, expected);
        assert_eq!(key.calls(), 3);
        // The next batch gets further.
        assert_eq!(verified(&verifier, &signatures).await, [VALID; 5]);
        for version in 0..2 * MAX_KEPT {
            verifier.keep(&(uri("a"), Some(version.to_string())), Found::Nothing);
        }
        assert_eq!(verifier.kept.lock().len(), MAX_KEPT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_public_key_is_asked_for_again_when_it_is_old() {
        let key = Key::new("a", false);
        let verifier = SignatureVerifier::new().with_signer(key.clone());
        let signature = signed(&key.uri, 1, b"data");
        for (wait, calls) in [(0, 1), (299, 1), (1, 2)] {
            tokio::time::advance(Duration::from_secs(wait)).await;
            assert!(verifier.verify(b"data", &signature).await.unwrap());
            assert_eq!(key.calls(), calls);
        }
    }

    #[tokio::test]
    async fn a_given_public_key_needs_no_service() {
        let version = Some("1".to_owned());
        let verifier = SignatureVerifier::new().with_public_key(uri("a"), version, public_key(1));
        let signatures = [1, 2].map(|version| signed(&uri("a"), version, b"data"));
        assert_eq!(verified(&verifier, &signatures).await, [VALID, INVALID]);
    }
}
