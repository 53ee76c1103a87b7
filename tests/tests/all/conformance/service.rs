//! A key management service as the suite sees it.

use std::{fmt::Display, sync::Arc};

use temporal_kms_codec::{
    EncryptionContext, KeyUri,
    kms::{
        self, CallPolicy, KeyAdmin, KeyProvider, KeySpec, KmsMetrics, KmsOptions, ProviderError,
        ProviderErrorKind as Kind,
    },
};

use crate::conformance::faulty::{Faults, Faulty};

/// A running service with an account of its own.
pub(crate) trait Service: Send + Sync {
    /// How its keys are reached.
    fn options(&self) -> KmsOptions;

    /// The name of a key. It need not exist.
    fn key(&self, name: &str) -> KeyUri;

    /// What is disabled and destroyed.
    fn unit(&self) -> Unit;

    /// How it refuses what is not of its key.
    fn refusals(&self) -> &[Kind] {
        &[
            Kind::InvalidCiphertext,
            Kind::ContextMismatch,
            Kind::KeyVersionGone,
        ]
    }

    /// Has the next calls, `times` of them, end in `trouble`. `false` when this is nothing that the service can be
    /// brought to: a file does not throttle.
    fn trouble(&self, trouble: Trouble, times: usize) -> bool;

    /// Ends every trouble.
    fn recover(&self);
}

/// What a service disables and destroys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Single versions of a key.
    Version,
    /// A key with all of its versions.
    Key,
}

/// What can go wrong between a caller and a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The caller lacks the permission.
    Denied,
    /// The service limits the rate of calls.
    Throttled,
    /// The connection ends without an answer.
    Dead,
    /// No answer comes.
    Slow,
    /// The answer is none of the service's.
    Garbage,
    /// The answer was altered: its checksum does not match, or it is another key's.
    Damaged,
}

impl Trouble {
    /// How a call fails in it.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Denied => Kind::PermissionDenied,
            Self::Throttled => Kind::Throttled,
            Self::Dead => Kind::Unavailable,
            Self::Slow => Kind::DeadlineExceeded,
            Self::Garbage | Self::Damaged => Kind::Integrity,
        }
    }
}

/// A service, and what the cases do with it.
pub(crate) struct Bench {
    service: Box<dyn Service>,
    /// For troubles that the service itself cannot have.
    faults: Arc<Faults>,
}

impl Bench {
    pub(crate) fn new(service: impl Service + 'static) -> Self {
        Self {
            service: Box::new(service),
            faults: Arc::default(),
        }
    }

    pub(crate) fn uri(&self, name: &str) -> KeyUri {
        self.service.key(name)
    }

    pub(crate) fn unit(&self) -> Unit {
        self.service.unit()
    }

    /// Asserts that `result` is a refusal of a ciphertext.
    #[track_caller]
    pub(crate) fn refuses<T>(&self, result: Result<T, ProviderError>, what: impl Display) {
        let refusal = kind(result);
        let usual = self.service.refusals();
        assert!(usual.contains(&refusal), "{what}: {refusal:?}");
    }

    pub(crate) fn options(&self) -> KmsOptions {
        KmsOptions {
            calls: CallPolicy::once(),
            ..self.service.options()
        }
    }

    pub(crate) async fn admin(&self) -> Arc<dyn KeyAdmin> {
        let admin = kms::open_admin(&self.uri("any"), &self.options()).await;
        admin.expect("the service")
    }

    /// A key that exists, each call of which shows how the service answers.
    pub(crate) async fn open(&self, name: &str) -> Arc<dyn KeyProvider> {
        let key = kms::open(&self.uri(name), &self.options()).await;
        key.expect("a key")
    }

    /// A new key.
    pub(crate) async fn made(&self, name: &str) -> Arc<dyn KeyProvider> {
        let admin = self.admin().await;
        let made = admin.create(&self.uri(name), &KeySpec::default()).await;
        made.expect("a new key");
        self.open(name).await
    }

    /// A key that exists, with troubles that the service cannot have put in its place, and `policy` around all.
    pub(crate) async fn surrounded(
        &self,
        name: &str,
        policy: &CallPolicy,
        metrics: &Arc<KmsMetrics>,
    ) -> Arc<dyn KeyProvider> {
        let faulty = Faulty::new(self.open(name).await, self.faults.clone());
        policy
            .decorate(Arc::new(faulty), metrics)
            .expect("a policy that can work")
    }

    pub(crate) fn trouble(&self, trouble: Trouble, times: usize) {
        if !self.service.trouble(trouble, times) {
            self.faults.set(trouble, times);
        }
    }

    pub(crate) fn recover(&self) {
        self.service.recover();
        self.faults.clear();
    }
}

pub(crate) fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    EncryptionContext::new(pairs.collect()).expect("a context")
}

/// The kind of a failure, whose words must name the key.
#[track_caller]
pub(crate) fn kind<T>(result: Result<T, ProviderError>) -> Kind {
    let error = result.map(|_| ()).expect_err("it is refused");
    let text = error.to_string();
    assert!(text.contains(&error.key().to_string()), "{text}");
    error.kind()
}
