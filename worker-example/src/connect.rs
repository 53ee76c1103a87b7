//! The way to Temporal: connection, namespace, and the codec that encrypts everything.

mod address;
mod error;

use std::{fmt, path::PathBuf, time::Duration};

use clap::Args;
use temporal_kms_codec::{Codec, CodecSettings, PlaintextPolicy, Scheme};
use temporal_kms_codec_service::arguments::{DEFAULT_LOCAL_KEY, variable};
use temporalio_client::{
    Client, ClientOptions, ClientTlsOptions, Connection, ConnectionOptions, TlsOptions,
};
use temporalio_common::data_converters::DataConverter;

use address::Credentials;
pub use address::{Address, AddressError};
pub use error::ConnectError;
/// The variables by which a key is named, any of them.
const KEYS: [&str; 5] = [
    "TEMPORAL_CODEC_KEY",
    "KMS_PROVIDER",
    "GCP_KMS_KEY",
    "KMS_KEY_NAME",
    "KMS_KEY_ALIAS",
];

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The variable with the API key of Temporal Cloud. It is not an option: everybody on a machine can read arguments.
const API_KEY: &str = "TEMPORAL_API_KEY";

/// Where Temporal is and which key encrypts.
#[derive(Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Temporal's address: HOST:PORT, <http://HOST:PORT> or <https://HOST:PORT>. TLS is used with https://, and with
    /// HOST:PORT where `TEMPORAL_API_KEY` or a --tls option is set. An API key never leaves this machine without TLS.
    #[arg(long, env = "TEMPORAL_ADDRESS", default_value = "127.0.0.1:7233")]
    pub address: Address,
    /// The namespace.
    #[arg(long, env = "TEMPORAL_NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// The task queue.
    #[arg(long, env = "CLAUDE_TASKS_TASK_QUEUE", default_value = "claude-tasks")]
    pub task_queue: String,
    /// A folder with local keys, for development; also `TEMPORAL_CODEC_KEYRING`. The key is `local://default` unless
    /// `TEMPORAL_CODEC_KEY` names another. Make it with `codec-server keys create local://default --keyring DIR`.
    #[arg(long, value_name = "DIR")]
    pub keyring: Option<PathBuf>,
    /// CA certificate (PEM) of Temporal, where the system does not know it.
    #[arg(long, env = "TEMPORAL_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Client certificate (PEM).
    #[arg(
        long,
        env = "TEMPORAL_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,
    /// Client key (PEM).
    #[arg(
        long,
        env = "TEMPORAL_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,
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

/// What a command needs the keys for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// It handles no payload, and works without a key and its service.
    Unused,
    /// It reads payloads.
    Opened,
    /// It writes payloads. Keys that do not answer are an error before anything is written.
    Answering,
}

/// Connects, with keys that answer. Nothing is sent before the address is known to be safe for the credentials that go
/// there.
///
/// # Errors
/// When Temporal is not reached or refuses the caller, and when the codec's configuration is wrong.
pub async fn connect(args: &ConnectionArgs, identity: String) -> Result<Client, ConnectError> {
    connect_with(args, identity, Keys::Answering).await
}

/// As [`connect`], for what a command needs.
///
/// # Errors
/// When Temporal is not reached or refuses the caller, and when the codec's configuration is wrong.
pub(crate) async fn connect_with(
    args: &ConnectionArgs,
    identity: String,
    keys: Keys,
) -> Result<Client, ConnectError> {
    let api_key = variable(API_KEY);
    let address = args.address.url(Credentials {
        api_key: api_key.is_some(),
        tls_files: args.tls_ca.is_some() || args.tls_cert.is_some(),
    })?;
    let tls = tls(args, address.scheme() == "https")?;
    let converter = match keys {
        Keys::Unused => DataConverter::default(),
        Keys::Opened => codec(args).await?.data_converter(),
        Keys::Answering => {
            let codec = codec(args).await?;
            codec.ready().await?;
            codec.data_converter()
        }
    };
    let options = ConnectionOptions::new(address.clone())
        .identity(identity)
        .connect_timeout(CONNECT_TIMEOUT)
        .maybe_tls_options(tls)
        .maybe_api_key(api_key)
        .build();
    let connection = Connection::connect(options)
        .await
        .map_err(|e| ConnectError::of(address.clone(), &e))?;
    let options = ClientOptions::new(args.namespace.clone())
        .data_converter(converter)
        .build();
    Client::new(connection, options).map_err(|e| ConnectError::Unreachable {
        address,
        problem: chain(&e),
    })
}

/// The codec for the namespace. By default it refuses payloads that are not encrypted: otherwise a task that anybody
/// wrote would run with the rights of this worker.
async fn codec(args: &ConnectionArgs) -> Result<Codec, ConnectError> {
    if variable("CLAUDE_TASKS_KEYRING").is_some() {
        return Err(ConnectError::OldVariable);
    }
    let lookup = |name: &str| match name {
        "TEMPORAL_NAMESPACE" => Some(args.namespace.clone()),
        "TEMPORAL_CODEC_KEY" => variable(name).or_else(|| {
            let has_keyring =
                args.keyring.is_some() || variable("TEMPORAL_CODEC_KEYRING").is_some();
            let local = has_keyring && KEYS.iter().all(|key| variable(key).is_none());
            local.then(|| DEFAULT_LOCAL_KEY.to_owned())
        }),
        _ => variable(name),
    };
    let mut settings =
        CodecSettings::from_variables(&lookup).map_err(temporal_kms_codec::Error::from)?;
    if let Some(folder) = &args.keyring {
        settings.kms.set_local_keyring(folder);
    }
    let mut keys = settings.encrypt.iter().chain(&settings.decrypt);
    if args.keyring.is_some() && !keys.any(|key| key.scheme() == Scheme::LOCAL) {
        return Err(ConnectError::KeyringUnused);
    }
    if settings.plaintext == Some(PlaintextPolicy::Allow) {
        tracing::warn!(
            "TEMPORAL_CODEC_PLAINTEXT=allow: everybody who can write to Temporal can run tasks here"
        );
    }
    Ok(settings.open().await?)
}

fn tls(args: &ConnectionArgs, wanted: bool) -> Result<Option<TlsOptions>, ConnectError> {
    if !wanted {
        return Ok(None);
    }
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|source| ConnectError::File {
            path: path.clone(),
            source,
        })
    };
    let client = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => Some(
            ClientTlsOptions::builder()
                .client_cert(read(cert)?)
                .client_private_key(read(key)?)
                .build(),
        ),
        _ => None,
    };
    let ca = args.tls_ca.as_ref().map(read).transpose()?;
    Ok(Some(
        TlsOptions::builder()
            .maybe_server_root_ca_cert(ca)
            .maybe_client_tls_options(client)
            .build(),
    ))
}

/// An error with its causes, each once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
