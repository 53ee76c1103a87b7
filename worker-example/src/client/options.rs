//! How to connect, and how to submit.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use temporal_kms_codec::{CodecSettings, ConfigurationError, kms::CallObserver};
use temporal_kms_codec_service::{arguments::variable, local_key::KeyChoice, telemetry::Metrics};
use url::Url;

use super::{Address, owner::Owner};
use crate::{store::StoreLocation, task::TaskId};

/// How to reach Temporal, and which key encrypts. The codec's other settings come from the environment, as
/// [`CodecSettings::from_variables`](temporal_kms_codec::CodecSettings::from_variables) reads them.
#[derive(Clone)]
#[non_exhaustive]
pub struct ConnectOptions {
    pub(super) address: Address,
    pub(super) namespace: String,
    pub(super) task_queue: String,
    pub(super) identity: String,
    pub(super) keys: KeyUse,
    pub(super) keyring: Option<PathBuf>,
    pub(super) tls_ca: Option<PathBuf>,
    pub(super) tls_client: Option<(PathBuf, PathBuf)>,
    pub(super) metrics: Option<Arc<Metrics>>,
    pub(super) observer: Option<Arc<dyn CallObserver>>,
    pub(super) store: Option<StoreLocation>,
    pub(super) plain_sessions: bool,
    pub(super) secrets_key: Option<String>,
    pub(super) signing_key: Option<String>,
}

impl ConnectOptions {
    /// The namespace `default`, the task queue `claude-tasks`, and no keyring.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            namespace: "default".to_owned(),
            task_queue: "claude-tasks".to_owned(),
            identity: "claude-tasks-client".to_owned(),
            keys: KeyUse::Encrypt,
            keyring: None,
            tls_ca: None,
            tls_client: None,
            metrics: None,
            observer: None,
            store: None,
            plain_sessions: false,
            secrets_key: None,
            signing_key: None,
        }
    }

    /// Sets the namespace.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets the task queue.
    #[must_use]
    pub fn with_task_queue(mut self, task_queue: impl Into<String>) -> Self {
        self.task_queue = task_queue.into();
        self
    }

    /// Sets the name under which Temporal lists this client.
    #[must_use]
    pub fn with_identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = identity.into();
        self
    }

    /// Sets what the client needs the keys for.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyUse) -> Self {
        self.keys = keys;
        self
    }

    /// Sets the folder of local keys. It overrides `TEMPORAL_CODEC_KEYRING`.
    #[must_use]
    pub fn with_keyring(mut self, folder: impl Into<PathBuf>) -> Self {
        self.keyring = Some(folder.into());
        self
    }

    /// Sets the file with the CA certificate of Temporal, as PEM.
    #[must_use]
    pub fn with_tls_ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls_ca = Some(file.into());
        self
    }

    /// Sets the files with the client's certificate and key, as PEM.
    #[must_use]
    pub fn with_tls_client(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.tls_client = Some((certificate.into(), key.into()));
        self
    }

    /// Sets where the secrets of requests and the logs of tasks are stored. Without it, secrets travel encrypted in the input of
    /// the workflow, and logs stay at the worker.
    #[must_use]
    pub fn with_store(mut self, store: StoreLocation) -> Self {
        self.store = Some(store);
        self
    }

    /// Sets whether logs and artefacts are stored unsealed. Secrets are always sealed.
    #[must_use]
    pub fn with_plain_sessions(mut self, plain: bool) -> Self {
        self.plain_sessions = plain;
        self
    }

    /// Sets the key that seals the secrets of requests in the store, as a URI. Who submits tasks needs the right to encrypt with
    /// it, and workers the right to decrypt. Without it, the keys of the codec seal them.
    #[must_use]
    pub fn with_secrets_key(mut self, uri: impl Into<String>) -> Self {
        self.secrets_key = Some(uri.into());
        self
    }

    /// Sets the key that signs requests, as a URI such as `local://requests`.
    #[must_use]
    pub fn with_signing_key(mut self, uri: impl Into<String>) -> Self {
        self.signing_key = Some(uri.into());
        self
    }

    /// Has the calls of key services counted.
    pub(crate) fn with_metrics(mut self, metrics: &Arc<Metrics>) -> Self {
        self.metrics = Some(Arc::clone(metrics));
        self
    }

    /// Has an observer told of each call of a key.
    pub(crate) fn with_observer(mut self, observer: Option<Arc<dyn CallObserver>>) -> Self {
        self.observer = observer;
        self
    }

    /// The codec's settings: those of the environment, and the keyring and the namespace of the options.
    ///
    /// # Errors
    /// When a variable is wrong.
    pub(crate) fn codec_settings(&self) -> Result<CodecSettings, ConfigurationError> {
        KeyChoice::new()
            .keyring(self.keyring.clone())
            .namespace(&self.namespace)
            .settings(&variable)
    }

    /// Temporal's server.
    pub(crate) fn server(&self) -> &Url {
        self.address.as_url()
    }

    pub(super) fn tls_files(&self) -> impl Iterator<Item = &Path> {
        let client = self.tls_client.iter().flat_map(|(cert, key)| [cert, key]);
        self.tls_ca.iter().chain(client).map(PathBuf::as_path)
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("address", &self.address)
            .field("namespace", &self.namespace)
            .field("task_queue", &self.task_queue)
            .finish_non_exhaustive()
    }
}

/// What a client needs the keys for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyUse {
    /// It reads and writes no payload, and works without a key and while the key service is unreachable.
    None,
    /// It reads payloads.
    Decrypt,
    /// It writes payloads. A key that cannot be used is an error at once, before anything is written.
    Encrypt,
}

/// How to submit a task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubmitOptions {
    pub(super) task_id: Option<TaskId>,
    pub(super) queue_time: Duration,
    pub(super) require_worker: bool,
    pub(super) owner: Option<Owner>,
}

impl SubmitOptions {
    /// The longest time that a task waits for a worker unless another one is set: a day.
    pub const DEFAULT_QUEUE_TIME: Duration = Duration::from_hours(24);

    /// A random id, a day to wait for a worker, and no check for a worker.
    #[must_use]
    pub fn new() -> Self {
        Self {
            task_id: None,
            queue_time: Self::DEFAULT_QUEUE_TIME,
            require_worker: false,
            owner: None,
        }
    }

    /// Sets the task's id. Temporal stores it unencrypted.
    #[must_use]
    pub fn with_task_id(mut self, task: TaskId) -> Self {
        self.task_id = Some(task);
        self
    }

    /// Sets how long the task may wait for a worker before it fails.
    #[must_use]
    pub fn with_queue_time(mut self, time: Duration) -> Self {
        self.queue_time = time;
        self
    }

    /// Says who has submitted the task.
    #[must_use]
    pub(crate) fn with_owner(mut self, owner: Owner) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Submits nothing if no worker polls the task queue.
    #[must_use]
    pub fn require_worker(mut self, required: bool) -> Self {
        self.require_worker = required;
        self
    }
}

impl Default for SubmitOptions {
    fn default() -> Self {
        Self::new()
    }
}
