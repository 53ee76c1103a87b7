//! The key service under test, and helpers for the cases.

use std::{fmt::Display, sync::Arc};

use parking_lot::Mutex;
use temporal_kms::{
    CallPolicy, EncryptionContext, KeyAdmin, KeyProvider, KeyPurpose, KeySpec, KeyUri, KmsMetrics,
    ProviderError, ProviderErrorKind as Kind, Signer,
    faulty::{Answer, FaultyKey},
};
use temporal_kms_codec::Format;

use crate::{Fault, Harness, Unit};

/// A key service as the cases see it. Each case gets a new one.
pub struct Suite {
    harness: Box<dyn Harness>,
    /// An injected fault that the service cannot produce, and the number of calls that it affects.
    injected: Arc<Mutex<Option<(Fault, usize)>>>,
}

impl Suite {
    /// A suite for a service without keys.
    #[must_use]
    pub fn new(harness: impl Harness + 'static) -> Self {
        Self {
            harness: Box::new(harness),
            injected: Arc::default(),
        }
    }

    pub(crate) fn uri(&self, name: &str) -> KeyUri {
        self.harness.key_uri(name)
    }

    pub(crate) fn unit(&self) -> Unit {
        self.harness.unit()
    }

    /// Asserts that `result` is a refusal of a ciphertext.
    #[track_caller]
    pub(crate) fn refuses<T>(&self, result: Result<T, ProviderError>, what: impl Display) {
        let refusal = kind(result);
        let usual = self.harness.refusals();
        assert!(usual.contains(&refusal), "{what}: {refusal:?}");
    }

    pub(crate) async fn admin(&self) -> Arc<dyn KeyAdmin> {
        let admin = self.optional_admin().await;
        admin.expect("the provider has key management")
    }

    /// The service's key management. `None` if the provider does not manage keys.
    pub(crate) async fn optional_admin(&self) -> Option<Arc<dyn KeyAdmin>> {
        match self.harness.open_admin().await {
            Ok(admin) => Some(admin),
            Err(error) if error.kind() == Kind::Unsupported => None,
            Err(error) => panic!("key management cannot be opened: {error}"),
        }
    }

    pub(crate) async fn try_open(&self, name: &str) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        self.harness.open(&self.uri(name)).await
    }

    /// An existing key without retries, so that each call shows how the service answers.
    pub(crate) async fn open(&self, name: &str) -> Arc<dyn KeyProvider> {
        self.try_open(name).await.expect("a key")
    }

    /// A new key.
    pub(crate) async fn create(&self, name: &str) -> Arc<dyn KeyProvider> {
        self.create_for(name, KeyPurpose::Encrypt).await;
        self.open(name).await
    }

    /// A new signing key.
    pub(crate) async fn create_signer(&self, name: &str) -> Arc<dyn Signer> {
        self.create_for(name, KeyPurpose::SignP256).await;
        let signer = self.harness.open_signer(&self.uri(name)).await;
        signer.expect("a signing key")
    }

    async fn create_for(&self, name: &str, purpose: KeyPurpose) {
        let spec = KeySpec::default().with_purpose(purpose);
        let created = self.harness.create(&self.uri(name), &spec).await;
        created.expect("a new key");
    }

    /// An existing key under `policy`, which also covers the injected faults.
    pub(crate) async fn open_with(
        &self,
        name: &str,
        policy: &CallPolicy,
        metrics: &Arc<KmsMetrics>,
    ) -> Arc<dyn KeyProvider> {
        let key = FaultyKey::over(self.open(name).await);
        let injected = self.injected.clone();
        key.script(move |_| next(&mut injected.lock()).map(answer));
        policy
            .decorate(key, metrics)
            .expect("a policy that can work")
    }

    pub(crate) fn inject(&self, fault: Fault, times: usize) {
        if !self.harness.inject(fault, times) {
            *self.injected.lock() = Some((fault, times));
        }
    }

    pub(crate) fn recover(&self) {
        self.harness.recover();
        *self.injected.lock() = None;
    }
}

fn next(injected: &mut Option<(Fault, usize)>) -> Option<Fault> {
    let (fault, times) = injected.as_mut()?;
    *times = times.checked_sub(1)?;
    Some(*fault)
}

fn answer(fault: Fault) -> Answer {
    match fault {
        Fault::NoAnswer => Answer::Stalls,
        fault => Answer::Fails(fault.kind()),
    }
}

/// The formats that the codec writes with the key. Payloads of direct mode are told by their key's scheme, so the schemes of
/// other people's services have no direct mode.
pub(crate) fn formats(key: &dyn KeyProvider) -> Vec<Format> {
    let mut formats = vec![Format::Envelope, Format::EnvelopeV1];
    if key.uri().scheme().has_direct_mode() {
        formats.push(Format::Direct);
    }
    formats
}

pub(crate) fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    EncryptionContext::new(pairs.collect()).expect("a context")
}

/// The kind of a failure. Asserts that its text names the key, and says once what to do.
#[track_caller]
pub(crate) fn kind<T>(result: Result<T, ProviderError>) -> Kind {
    let error = result.map(|_| ()).expect_err("it is refused");
    let text = error.to_string();
    assert!(text.contains(&error.key().to_string()), "{text}");
    // A `; ` in a detail means that it holds what to do, which belongs in `with_remedy`.
    assert_eq!(text.matches("; ").count(), 1, "{text}");
    error.kind()
}
