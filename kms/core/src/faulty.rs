//! A key for tests that fails on demand: the one test double of [`KeyProvider`].

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;
use zeroize::Zeroizing;

use self::plain::PlainKey;
use crate::{
    Dek, EncryptionContext, KeyLimits, KeyProvider, KeyUri, Operation, ProviderError,
    ProviderErrorKind, UsableKey, WrappedDek,
};

mod plain;

/// A key that answers as a test instructs it, and counts its calls.
///
/// Without instructions the inner key answers. Instructions for one input come first ([`answers`](Self::answers)), then
/// all others from the newest to the oldest. The first instruction that has an answer decides. Every call lets other
/// tasks run once before it is answered, as a call over a network does.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), temporal_kms::ProviderError> {
/// use temporal_kms::{
///     EncryptionContext, KeyProvider as _, Operation, ProviderErrorKind,
///     faulty::{Answer, FaultyKey},
/// };
///
/// let key = FaultyKey::new("k");
/// key.next([Answer::Fails(ProviderErrorKind::Throttled)]);
/// let error = key.encrypt(b"x").await.unwrap_err();
/// assert_eq!(error.kind(), ProviderErrorKind::Throttled);
/// key.encrypt(b"x").await?;
/// assert_eq!(key.calls_of(Operation::Encrypt), 2);
/// # Ok(())
/// # }
/// ```
pub struct FaultyKey {
    key: Arc<dyn KeyProvider>,
    scripts: Mutex<Vec<Script>>,
    by_input: Mutex<HashMap<Vec<u8>, VecDeque<Answer>>>,
    changed: Notify,
    calls: Mutex<Vec<Operation>>,
    running: AtomicUsize,
    most_running: AtomicUsize,
}

type Script = Arc<dyn Fn(&Call<'_>) -> Option<Answer> + Send + Sync>;

/// A call, as a script sees it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Call<'a> {
    /// The operation.
    pub operation: Operation,
    /// The context of the data key. Direct mode and `check_usable` have no context.
    pub context: Option<&'a EncryptionContext>,
    /// The bytes to unwrap, encrypt or decrypt. Empty for the other operations.
    pub input: &'a [u8],
}

/// How a [`FaultyKey`] answers a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The inner key answers.
    Passes,
    /// The call fails.
    Fails(ProviderErrorKind),
    /// The call fails with a kind that the provider concluded: [`ProviderError::presumed`].
    Presumes(ProviderErrorKind),
    /// The call gets no answer until [`FaultyKey::recover`] or [`FaultyKey::retry_stalled`].
    Stalls,
    /// The inner key answers after this time.
    Takes(Duration),
    /// The call fails after this time.
    FailsAfter(Duration, ProviderErrorKind),
    /// The call panics.
    Panics,
    /// The answer is these bytes: a wrapped data key, a data key, a ciphertext or a plaintext. As a data key, bytes of
    /// another length than 32 are an invalid ciphertext. `check_usable` does not return bytes, so there the inner key
    /// answers.
    Gives(Vec<u8>),
}

impl FaultyKey {
    /// The key `local://NAME`. It does no cryptography: wrapping and encrypting return the same bytes.
    ///
    /// # Panics
    /// `name` is not a key's name.
    #[must_use]
    pub fn new(name: &str) -> Arc<Self> {
        Self::over(Arc::new(PlainKey::new(name)))
    }

    /// As [`new`](Self::new). Every call fails until [`recover`](Self::recover).
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[must_use]
    pub fn failing(name: &str, kind: ProviderErrorKind) -> Arc<Self> {
        let key = Self::new(name);
        key.fail(kind);
        key
    }

    /// As [`new`](Self::new), with any URI and any limits.
    #[must_use]
    pub fn with_limits(uri: KeyUri, limits: KeyLimits) -> Arc<Self> {
        Self::over(Arc::new(PlainKey { uri, limits }))
    }

    /// Wraps `key`, which answers where no instruction does.
    #[must_use]
    pub fn over(key: Arc<dyn KeyProvider>) -> Arc<Self> {
        Arc::new(Self {
            key,
            scripts: Mutex::default(),
            by_input: Mutex::default(),
            changed: Notify::new(),
            calls: Mutex::default(),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
        })
    }

    /// Adds an instruction. When it returns `None` for a call, older instructions decide.
    pub fn script(&self, script: impl Fn(&Call<'_>) -> Option<Answer> + Send + Sync + 'static) {
        self.scripts.lock().push(Arc::new(script));
    }

    /// Answers the next calls, one after another.
    pub fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        let answers: Mutex<VecDeque<_>> = Mutex::new(answers.into_iter().collect());
        self.script(move |_| answers.lock().pop_front());
    }

    /// Answers every call from now on.
    pub fn always(&self, answer: Answer) {
        self.script(move |_| Some(answer.clone()));
    }

    /// Answers every call of some operations from now on.
    pub fn always_for(&self, operations: &[Operation], answer: Answer) {
        let operations = operations.to_vec();
        self.script(move |call| operations.contains(&call.operation).then(|| answer.clone()));
    }

    /// Answers the calls with this input, one after another. The last answer is repeated.
    pub fn answers(&self, input: &[u8], answers: impl IntoIterator<Item = Answer>) {
        let answers = answers.into_iter().collect();
        self.by_input.lock().insert(input.to_vec(), answers);
    }

    /// Fails every call from now on.
    pub fn fail(&self, kind: ProviderErrorKind) {
        self.always(Answer::Fails(kind));
    }

    /// Removes every instruction. The inner key answers the calls that stall.
    pub fn recover(&self) {
        self.scripts.lock().clear();
        self.by_input.lock().clear();
        self.retry_stalled();
    }

    /// Applies the instructions again to the calls that stall.
    pub fn retry_stalled(&self) {
        self.changed.notify_waiters();
    }

    /// The number of calls so far.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.lock().len()
    }

    /// The number of calls of an operation so far. A generated data key counts as [`Operation::Wrap`].
    #[must_use]
    pub fn calls_of(&self, operation: Operation) -> usize {
        let calls = self.calls.lock();
        calls.iter().filter(|called| **called == operation).count()
    }

    /// The highest number of concurrent calls.
    #[must_use]
    pub fn most_concurrent(&self) -> usize {
        self.most_running.load(SeqCst)
    }

    /// Counts a call and applies its instruction. Returns the bytes of the answer, or `None` if the inner key answers.
    async fn call(&self, call: Call<'_>) -> Result<Option<Zeroizing<Vec<u8>>>, ProviderError> {
        self.calls.lock().push(call.operation);
        let running = self.running.fetch_add(1, SeqCst) + 1;
        self.most_running.fetch_max(running, SeqCst);
        let _running = Running(&self.running);
        // Instructions are used up in the order of the calls, so look them up before other tasks run.
        let (mut changed, mut answer) = (self.changed.notified(), self.answer(&call));
        tokio::task::yield_now().await;
        while answer == Answer::Stalls {
            changed.await;
            // Created before the answer is looked up, so that a change is never missed.
            changed = self.changed.notified();
            answer = self.answer(&call);
        }
        match answer {
            Answer::Passes | Answer::Stalls => Ok(None),
            Answer::Fails(kind) => Err(self.error(kind)),
            Answer::Presumes(kind) => Err(self.error(kind).presumed()),
            Answer::Takes(time) => {
                tokio::time::sleep(time).await;
                Ok(None)
            }
            Answer::FailsAfter(time, kind) => {
                tokio::time::sleep(time).await;
                Err(self.error(kind))
            }
            Answer::Panics => std::panic::panic_any("the provider is broken"),
            Answer::Gives(bytes) => Ok(Some(Zeroizing::new(bytes))),
        }
    }

    fn answer(&self, call: &Call<'_>) -> Answer {
        if let Some(answers) = self.by_input.lock().get_mut(call.input) {
            let next = match answers.len() {
                0 | 1 => answers.front().cloned(),
                _ => answers.pop_front(),
            };
            return next.unwrap_or(Answer::Passes);
        }
        let scripts = self.scripts.lock().clone();
        let answer = scripts.iter().rev().find_map(|script| script(call));
        answer.unwrap_or(Answer::Passes)
    }

    fn error(&self, kind: ProviderErrorKind) -> ProviderError {
        ProviderError::new(kind, self.key.uri())
    }
}

/// Counts a call as running until it ends or is cancelled.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

// If a method with a default were missing here, its calls would never fail.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl KeyProvider for FaultyKey {
    fn uri(&self) -> &KeyUri {
        self.key.uri()
    }

    fn is_alias_of(&self, key: &KeyUri) -> bool {
        self.key.is_alias_of(key)
    }

    async fn wrap(
        &self,
        dek: &Dek,
        context: &EncryptionContext,
    ) -> Result<WrappedDek, ProviderError> {
        match self.call(Call::of_dek(Operation::Wrap, context)).await? {
            Some(bytes) => Ok(WrappedDek::new(bytes.to_vec())),
            None => self.key.wrap(dek, context).await,
        }
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedDek,
        context: &EncryptionContext,
    ) -> Result<Dek, ProviderError> {
        let call = Call {
            input: wrapped.as_bytes(),
            ..Call::of_dek(Operation::Unwrap, context)
        };
        match self.call(call).await? {
            Some(bytes) => Dek::from_slice(&bytes)
                .ok_or_else(|| self.error(ProviderErrorKind::InvalidCiphertext)),
            None => self.key.unwrap(wrapped, context).await,
        }
    }

    async fn generate_dek(
        &self,
        context: &EncryptionContext,
    ) -> Result<(Dek, WrappedDek), ProviderError> {
        let given = self.call(Call::of_dek(Operation::Wrap, context)).await?;
        let (dek, wrapped) = self.key.generate_dek(context).await?;
        Ok(match given {
            Some(bytes) => (dek, WrappedDek::new(bytes.to_vec())),
            None => (dek, wrapped),
        })
    }

    fn limits(&self) -> KeyLimits {
        self.key.limits()
    }

    async fn seal(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ProviderError> {
        let call = Call {
            context: Some(context),
            ..Call::of_bytes(Operation::Encrypt, plaintext)
        };
        match self.call(call).await? {
            Some(bytes) => Ok(bytes.to_vec()),
            None => self.key.seal(plaintext, context).await,
        }
    }

    async fn open(
        &self,
        sealed: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let call = Call {
            context: Some(context),
            ..Call::of_bytes(Operation::Decrypt, sealed)
        };
        match self.call(call).await? {
            Some(bytes) => Ok(bytes),
            None => self.key.open(sealed, context).await,
        }
    }

    async fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, ProviderError> {
        match self
            .call(Call::of_bytes(Operation::Encrypt, plaintext))
            .await?
        {
            Some(bytes) => Ok(bytes.to_vec()),
            None => self.key.encrypt(plaintext).await,
        }
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        match self
            .call(Call::of_bytes(Operation::Decrypt, ciphertext))
            .await?
        {
            Some(bytes) => Ok(bytes),
            None => self.key.decrypt(ciphertext).await,
        }
    }

    async fn check_usable(&self) -> Result<UsableKey, ProviderError> {
        self.call(Call::of_bytes(Operation::Describe, &[])).await?;
        self.key.check_usable().await
    }
}

impl<'a> Call<'a> {
    fn of_dek(operation: Operation, context: &'a EncryptionContext) -> Self {
        Self {
            operation,
            context: Some(context),
            input: &[],
        }
    }

    fn of_bytes(operation: Operation, input: &'a [u8]) -> Self {
        Self {
            operation,
            context: None,
            input,
        }
    }
}

impl fmt::Debug for FaultyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultyKey").field(&self.key).finish()
    }
}

#[cfg(test)]
mod tests;
