//! The options that say where Temporal is and which key encrypts.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::{Args, builder::NonEmptyStringValueParser};

use super::{exit::CommandError, store_choice::StoreChoice};
use crate::client::{Address, ConnectOptions, KeyUse};

/// Where Temporal is, and which key encrypts.
#[derive(Clone, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectionArgs {
    /// Temporal's address: HOST:PORT, `http://HOST:PORT` or `https://HOST:PORT`. HOST:PORT uses TLS if `TEMPORAL_API_KEY` or
    /// a --tls option is set. An API key never leaves this machine without TLS.
    #[arg(long, env = "TEMPORAL_ADDRESS", default_value = "127.0.0.1:7233")]
    address: Address,
    /// The namespace.
    #[arg(long, env = "TEMPORAL_NAMESPACE", default_value = "default", value_parser = NonEmptyStringValueParser::new())]
    namespace: String,
    /// The task queue.
    #[arg(long, env = "CLAUDE_TASKS_TASK_QUEUE", default_value = "claude-tasks", value_parser = NonEmptyStringValueParser::new())]
    task_queue: String,
    /// The folder of local keys, for development; also `TEMPORAL_CODEC_KEYRING`. The key is `local://default` unless
    /// `TEMPORAL_CODEC_KEY` names another one. Create it with `codec-server keys create local://default --keyring DIR`.
    #[arg(long, value_name = "DIR")]
    keyring: Option<PathBuf>,
    /// Where the secrets of requests and the logs of tasks are stored, sealed: a folder, or `gs://BUCKET/PREFIX`,
    /// `s3://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`. `GCS_LOGS_BUCKET` names a bucket of Google Cloud Storage. All programs
    /// need the same store. `claude-tasks all` uses the folder `store` in its --workdir if you name none. With `none`, secrets
    /// travel encrypted in the history, where people who may decrypt see them, and logs stay at the worker.
    #[arg(long, env = "CLAUDE_TASKS_STORE", value_name = "URL")]
    store: Option<StoreChoice>,
    /// The key that seals the secrets of requests in the store, such as `local://secrets`, if it is not the codec's key. Callers
    /// need the right to encrypt with it, and workers the right to decrypt.
    #[arg(long, env = "CLAUDE_TASKS_SECRETS_KEY", value_name = "URI")]
    secrets_key: Option<String>,
    /// Store logs and artefacts unsealed, for other programs that read them. Secrets are always sealed.
    #[arg(long, env = "CLAUDE_TASKS_PLAIN_LOGS")]
    plain_logs: bool,
    /// The CA certificate of Temporal (PEM), if the system does not have it.
    #[arg(long, env = "TEMPORAL_TLS_CA", value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// The client's certificate (PEM).
    #[arg(
        long,
        env = "TEMPORAL_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    tls_cert: Option<PathBuf>,
    /// The client's key (PEM).
    #[arg(
        long,
        env = "TEMPORAL_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    tls_key: Option<PathBuf>,
}

impl ConnectionArgs {
    /// The options for a command that needs the keys for this.
    ///
    /// # Errors
    /// When a variable does not name a store.
    pub(super) fn options(&self, keys: KeyUse) -> Result<ConnectOptions, CommandError> {
        let mut options = ConnectOptions::new(self.address.clone())
            .with_namespace(&self.namespace)
            .with_task_queue(&self.task_queue)
            .with_keys(keys);
        if let Some(store) = self.store()?.and_then(StoreChoice::location) {
            options = options
                .with_store(store)
                .with_plain_sessions(self.plain_logs);
        }
        if let Some(key) = &self.secrets_key {
            options = options.with_secrets_key(key);
        }
        if let Some(folder) = &self.keyring {
            options = options.with_keyring(folder);
        }
        if let Some(file) = &self.tls_ca {
            options = options.with_tls_ca(file);
        }
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            options = options.with_tls_client(certificate, key);
        }
        Ok(options)
    }

    /// The store that was chosen. `None` if nobody has chosen.
    ///
    /// # Errors
    /// When a variable does not name a store.
    pub(super) fn store(&self) -> Result<Option<StoreChoice>, CommandError> {
        StoreChoice::find(self.store.as_ref())
    }

    /// Uses a store in this folder unless another choice was made.
    ///
    /// # Errors
    /// When a variable does not name a store.
    pub(super) fn or_store_within(&mut self, workdir: &Path) -> Result<(), CommandError> {
        let chosen = self.store()?;
        self.store = Some(chosen.unwrap_or_else(|| StoreChoice::within(workdir)));
        Ok(())
    }

    /// The task queue.
    pub(super) fn task_queue(&self) -> &str {
        &self.task_queue
    }
}

impl fmt::Debug for ConnectionArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionArgs")
            .field("address", &self.address)
            .field("namespace", &self.namespace)
            .field("task_queue", &self.task_queue)
            .finish_non_exhaustive()
    }
}
