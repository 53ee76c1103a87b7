//! The way to Temporal: connection, namespace, and the codec that encrypts everything.

use clap::Args;
use std::{fmt, io, path::PathBuf, time::Duration};
use temporal_kms_codec::{Codec, CodecSettings, Namespace, kms::local::LocalKeyring};
use temporalio_client::{
    Client, ClientOptions, ClientTlsOptions, Connection, ConnectionOptions, TlsOptions,
};
use thiserror::Error;
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The variable with the API key of Temporal Cloud. It is no option: arguments can be read by all.
const API_KEY: &str = "TEMPORAL_API_KEY";

/// The key of a local keyring, `local://default`, which the codec server uses, too.
const KEY: &str = "default";

/// Where Temporal is and which key encrypts.
#[derive(Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Temporal's address; https for TLS. The API key of Temporal Cloud comes from `TEMPORAL_API_KEY`.
    #[arg(long, env = "TEMPORAL_ADDRESS", default_value = "http://127.0.0.1:7233", value_parser = address)]
    pub address: Url,
    /// The namespace.
    #[arg(long, env = "TEMPORAL_NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// The task queue.
    #[arg(long, env = "CLAUDE_TASKS_TASK_QUEUE", default_value = "claude-tasks")]
    pub task_queue: String,
    /// A folder with a local keyring, for development. Without it the key comes from
    /// `TEMPORAL_CODEC_KEY` and its companions.
    #[arg(long, env = "CLAUDE_TASKS_KEYRING", value_name = "DIR")]
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
            .field("address", &self.address.as_str())
            .field("namespace", &self.namespace)
            .field("task_queue", &self.task_queue)
            .finish_non_exhaustive()
    }
}

/// Temporal cannot be reached, or not with encryption.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A certificate or key that cannot be read.
    #[error("{path} cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No key, or no right to use it.
    #[error("payloads cannot be encrypted: {0}")]
    Codec(#[from] temporal_kms_codec::Error),
    /// The codec was configured for another namespace than the connection.
    #[error(
        "the codec is configured for the namespace `{codec}` and the connection for `{connection}`; \
         set TEMPORAL_NAMESPACE for both"
    )]
    Namespace {
        /// The codec's.
        codec: String,
        /// The connection's.
        connection: String,
    },
    /// No connection.
    #[error(
        "no connection to Temporal at {address}: {problem}; is it running, is --address right?"
    )]
    Unreachable {
        /// Where.
        address: Url,
        /// Why.
        problem: String,
    },
}

/// Connects. `create_keys` makes a missing keyset of a local keyring.
///
/// # Errors
/// When Temporal is not reached or the codec's configuration is wrong.
pub async fn connect(
    args: &ConnectionArgs,
    identity: String,
    create_keys: bool,
) -> Result<Client, ConnectError> {
    let converter = codec(args, create_keys).await?.data_converter();
    let unreachable = |problem: String| ConnectError::Unreachable {
        address: args.address.clone(),
        problem,
    };
    let options = ConnectionOptions::new(args.address.clone())
        .identity(identity)
        .connect_timeout(CONNECT_TIMEOUT)
        .maybe_tls_options(tls(args)?)
        .maybe_api_key(std::env::var(API_KEY).ok().filter(|key| !key.is_empty()))
        .build();
    let connection = Connection::connect(options)
        .await
        .map_err(|e| unreachable(chain(&e)))?;
    let options = ClientOptions::new(args.namespace.clone())
        .data_converter(converter)
        .build();
    Client::new(connection, options).map_err(|e| unreachable(chain(&e)))
}

/// The codec for the namespace: of the keyring that was named, else as the environment says.
async fn codec(args: &ConnectionArgs, create_keys: bool) -> Result<Codec, ConnectError> {
    let codec = if let Some(folder) = &args.keyring {
        let keyring = LocalKeyring::open(folder);
        let key = if create_keys {
            keyring.key_or_create(KEY)
        } else {
            keyring.key(KEY)
        };
        let key = key.map_err(temporal_kms_codec::Error::from)?;
        let namespace = Namespace::new(&args.namespace).map_err(temporal_kms_codec::Error::from)?;
        Codec::builder(namespace).encrypt_with(key).build()?
    } else {
        let mut settings = CodecSettings::from_env().map_err(temporal_kms_codec::Error::from)?;
        // No worker could read what is sealed under a key that is made just now.
        settings.kms.create_local_keys = create_keys;
        settings.open().await?
    };
    // Payloads are bound to their namespace: nobody could read what is sealed for another one.
    if codec.namespace().as_str() != args.namespace {
        return Err(ConnectError::Namespace {
            codec: codec.namespace().to_string(),
            connection: args.namespace.clone(),
        });
    }
    codec.ready().await?;
    Ok(codec)
}

fn tls(args: &ConnectionArgs) -> Result<Option<TlsOptions>, ConnectError> {
    if args.address.scheme() != "https" {
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

/// `host:port`, which other Temporal tools take, means no TLS.
fn address(text: &str) -> Result<Url, String> {
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url: Url = full.parse().map_err(|e| format!("{e}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("expected http://HOST:PORT or https://HOST:PORT".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address holds no user name or password".to_owned());
    }
    Ok(url)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_addresses_as_people_write_them() {
        assert_eq!(
            address("127.0.0.1:7233").unwrap().as_str(),
            "http://127.0.0.1:7233/"
        );
        assert_eq!(address("https://t.example:7233").unwrap().scheme(), "https");
        for bad in ["ftp://x", "http://u:p@x", "http://", "file:///x"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
