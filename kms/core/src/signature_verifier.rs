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
/// - One batch looks up at most [`MAX_VERSIONS`](Self::MAX_VERSIONS) versions. The most frequent versions come first.
///   Invented versions cause a bounded number of calls. An attacker who invents versions once each cannot push out a
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

    /// Accepts signatures by one version of `key`, without its service. A [`Signature`] names its `version`. Keys without
    /// versions take `None`.
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
    /// After an error that concerns the whole key, the batch asks for no further version of the key. Signatures by the
    /// versions that are not known yet get this error, too. The first call for a key runs alone. So a service that is
    /// unreachable, or that refuses the caller, is called once for each of its keys. A version that is disabled or
    /// destroyed, or whose answer is damaged, does not affect the other versions.
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
        // The first call for a key shows whether its service is reachable, and accepts the caller.
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

    /// The versions to look up. The most frequent versions of the batch come first. Among equals, the order of the batch
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
    /// Keys for which this batch makes no further call.
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
            && concerns_all_versions(error)
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

/// Whether a call for another version of the key would fail the same way. Strangers can name any version, so the error
/// of one version must not deny the others.
fn concerns_all_versions(error: &ProviderError) -> bool {
    match error.kind() {
        ProviderErrorKind::KeyNotFound
        | ProviderErrorKind::KeyDisabled
        | ProviderErrorKind::KeyVersionGone
        | ProviderErrorKind::Integrity => false,
        // Without a cause, the version may have another algorithm, or a number that the service rejects.
        ProviderErrorKind::Misconfigured => error.cause().is_some(),
        _ => true,
    }
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
    ProviderError::new(ProviderErrorKind::Unsupported, key)
        .with_explanation(format!(
            "cannot verify a signature by {key}: the batch names more than {limit} versions, and this one is not \
             among the most frequent"
        ))
        .with_remedy("verify fewer signatures at once")
}

#[cfg(test)]
mod tests;
