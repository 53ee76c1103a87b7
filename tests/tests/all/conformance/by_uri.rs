//! A service whose keys are opened by their URIs, as programs open them.

use std::sync::Arc;

use async_trait::async_trait;
use temporal_kms_codec::{
    KeyUri,
    kms::{CallPolicy, KeyAdmin, KeyProvider, Kms, ProviderError, ProviderErrorKind, Signer},
};
use temporal_kms_conformance::{Fault, Harness, Unit};

type Inject = Box<dyn Fn(Option<(Fault, usize)>) + Send + Sync>;

/// A running service.
pub(super) struct ByUri {
    kms: Kms,
    uri: Box<dyn Fn(&str) -> KeyUri + Send + Sync>,
    unit: Unit,
    refusals: Vec<ProviderErrorKind>,
    inject: Option<Inject>,
}

impl ByUri {
    /// A service that disables and destroys versions of keys, and cannot be brought to faults. `uri` makes the URI of a key
    /// from its name. It owns what has to live as long as the service.
    pub(super) fn new(mut kms: Kms, uri: impl Fn(&str) -> KeyUri + Send + Sync + 'static) -> Self {
        kms.set_calls(CallPolicy::once());
        Self {
            kms,
            uri: Box::new(uri),
            unit: Unit::Version,
            refusals: vec![
                ProviderErrorKind::InvalidCiphertext,
                ProviderErrorKind::ContextMismatch,
                ProviderErrorKind::KeyVersionGone,
            ],
            inject: None,
        }
    }

    /// It disables and destroys whole keys.
    pub(super) fn of_whole_keys(mut self) -> Self {
        self.unit = Unit::Key;
        self
    }

    /// It refuses a ciphertext in this way, too.
    pub(super) fn refusing_with(mut self, kind: ProviderErrorKind) -> Self {
        self.refusals.push(kind);
        self
    }

    /// It can be brought to faults. `inject` gets a fault and the number of calls, or `None` to end it.
    pub(super) fn with_faults(
        mut self,
        inject: impl Fn(Option<(Fault, usize)>) + Send + Sync + 'static,
    ) -> Self {
        self.inject = Some(Box::new(inject));
        self
    }
}

#[async_trait]
impl Harness for ByUri {
    fn key_uri(&self, name: &str) -> KeyUri {
        (self.uri)(name)
    }

    async fn open(&self, key: &KeyUri) -> Result<Arc<dyn KeyProvider>, ProviderError> {
        self.kms.key(key).await
    }

    async fn open_signer(&self, key: &KeyUri) -> Result<Arc<dyn Signer>, ProviderError> {
        self.kms.signer(key).await
    }

    async fn open_admin(&self) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
        self.kms.admin(&self.key_uri("any")).await
    }

    fn unit(&self) -> Unit {
        self.unit
    }

    fn refusals(&self) -> &[ProviderErrorKind] {
        &self.refusals
    }

    fn inject(&self, fault: Fault, times: usize) -> bool {
        let Some(inject) = &self.inject else {
            return false;
        };
        inject(Some((fault, times)));
        true
    }

    fn recover(&self) {
        if let Some(inject) = &self.inject {
            inject(None);
        }
    }
}
