//! Connects to Temporal with the codec that encrypts all payloads.

use std::{path::Path, time::Duration};

use temporal_kms_codec::{Codec, PlaintextPolicy, Scheme};
use temporal_kms_codec_service::arguments::variable;
use temporalio_client::{
    Client, ClientOptions, ClientTlsOptions, Connection, ConnectionOptions, TlsOptions,
};
use temporalio_common::data_converters::DataConverter;

use super::{
    address::{Credentials, shown},
    chain::error_chain,
    connect_error::ConnectError,
    options::{ConnectOptions, KeyUse},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The variable with the API key of Temporal Cloud. It is not an option, because all users of a machine can read arguments.
const API_KEY: &str = "TEMPORAL_API_KEY";

/// A connected client.
pub(super) struct Connected {
    pub(super) client: Client,
    /// Temporal's address, for messages.
    pub(super) address: String,
}

/// Connects. Nothing is sent before the address is known to be safe for the credentials that go there.
///
/// # Errors
/// When Temporal is unreachable or refuses the caller, and when the key or a setting of the codec is wrong.
pub(super) async fn connect(options: &ConnectOptions) -> Result<Connected, ConnectError> {
    let api_key = variable(API_KEY);
    let address = options.address.url(Credentials {
        api_key: api_key.is_some(),
        tls_files: options.tls_files().next().is_some(),
    })?;
    let tls = tls(options, address.scheme() == "https")?;
    let converter = match options.keys {
        KeyUse::None => DataConverter::default(),
        KeyUse::Decrypt => codec(options).await?.data_converter(),
        KeyUse::Encrypt => {
            let codec = codec(options).await?;
            codec.ready().await?;
            codec.data_converter()
        }
    };
    let connection = ConnectionOptions::new(address.clone())
        .identity(options.identity.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .maybe_tls_options(tls)
        .maybe_api_key(api_key)
        .build();
    let connection = Connection::connect(connection)
        .await
        .map_err(|e| ConnectError::of(address.clone(), &e))?;
    let client = ClientOptions::new(options.namespace.clone())
        .data_converter(converter)
        .build();
    let shown = shown(&address).to_owned();
    let client = Client::new(connection, client).map_err(|e| ConnectError::Unreachable {
        address,
        problem: error_chain(&e),
    })?;
    Ok(Connected {
        client,
        address: shown,
    })
}

/// The codec for the namespace. By default it refuses payloads that are not encrypted. Otherwise the worker would run the
/// tasks of everybody who can write to Temporal.
async fn codec(options: &ConnectOptions) -> Result<Codec, ConnectError> {
    if variable("CLAUDE_TASKS_KEYRING").is_some() {
        return Err(ConnectError::OldVariable);
    }
    let mut settings = options
        .codec_settings()
        .map_err(temporal_kms_codec::Error::from)?;
    settings.kms.set_observer(options.observer.clone());
    let mut keys = settings.encrypt.iter().chain(&settings.decrypt);
    if options.keyring.is_some() && !keys.any(|key| key.scheme() == Scheme::LOCAL) {
        return Err(ConnectError::KeyringUnused);
    }
    if settings.plaintext == Some(PlaintextPolicy::Allow) {
        tracing::warn!(
            "TEMPORAL_CODEC_PLAINTEXT=allow is set: everybody who can write to Temporal can run tasks here"
        );
    }
    if let Some(metrics) = &options.metrics {
        let keys = settings.encrypt.iter().chain(&settings.decrypt).cloned();
        let namespace = settings.namespace.clone();
        metrics.configure_names([namespace], keys, &settings.kms);
    }
    Ok(settings.open().await?)
}

fn tls(options: &ConnectOptions, wanted: bool) -> Result<Option<TlsOptions>, ConnectError> {
    if !wanted {
        return Ok(None);
    }
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| ConnectError::File {
            path: path.to_owned(),
            source,
        })
    };
    let client = match &options.tls_client {
        Some((cert, key)) => Some(
            ClientTlsOptions::builder()
                .client_cert(read(cert)?)
                .client_private_key(read(key)?)
                .build(),
        ),
        None => None,
    };
    let ca = options.tls_ca.as_deref().map(read).transpose()?;
    Ok(Some(
        TlsOptions::builder()
            .maybe_server_root_ca_cert(ca)
            .maybe_client_tls_options(client)
            .build(),
    ))
}
