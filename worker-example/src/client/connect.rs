//! Connects to Temporal with the codec that encrypts all payloads.

use std::{path::Path, sync::Arc, time::Duration};

use temporal_kms_codec::{
    Codec, CodecSettings, Error, KeyUri, PlaintextPolicy, Scheme, Sealer, kms::KeyProvider,
};
use temporal_kms_codec_service::{
    arguments::variable,
    missing_key,
    temporal::{API_KEY, ConnectionError, Credentials, shown},
};
use temporalio_client::{
    Client, ClientOptions, ClientTlsOptions, Connection, ConnectionOptions, TlsOptions,
};
use temporalio_common::data_converters::DataConverter;

use super::{
    chain::error_chain,
    connect_error::ConnectError,
    options::{ConnectOptions, KeyUse},
};
use crate::{
    signed::RequestSigner,
    store::{Objects, StoreLocation, Vault},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What to do about a key of the codec that does not exist, for clients that only read.
const WRONG_KEY: &str = "correct the key's name in TEMPORAL_CODEC_KEY, or its folder in --keyring (TEMPORAL_CODEC_KEYRING)";
/// As [`WRONG_KEY`], of the key that seals secrets.
const WRONG_SECRETS_KEY: &str = "correct the key's name in --secrets-key (CLAUDE_TASKS_SECRETS_KEY), or its folder in --keyring \
                                 (TEMPORAL_CODEC_KEYRING)";

/// A connected client.
pub(super) struct Connected {
    pub(super) client: Client,
    /// Temporal's address, for messages.
    pub(super) address: String,
    /// Where secrets and logs are stored.
    pub(super) vault: Option<Vault>,
    /// Signs requests.
    pub(super) signer: Option<RequestSigner>,
}

/// What the keys are used for.
struct Keys {
    codec: Codec,
    vault: Option<Vault>,
    signer: Option<RequestSigner>,
}

/// Connects. Nothing is sent before the address is known to be safe for the credentials that go there.
///
/// # Errors
/// When Temporal is unreachable or refuses the caller, and when the key or a setting of the codec is wrong.
pub(super) async fn connect(options: &ConnectOptions) -> Result<Connected, ConnectError> {
    let api_key = variable(API_KEY);
    let address = options.address.url(Credentials {
        api_key: api_key.as_ref().map(|_| API_KEY),
        tls_files: options.tls_files().next().is_some(),
    })?;
    let tls = tls(options, address.scheme() == "https")?;
    let keys = match options.keys {
        KeyUse::None => None,
        KeyUse::Decrypt => Some(keys(options).await.map_err(ConnectError::of_reader)?),
        KeyUse::Encrypt => {
            let keys = keys(options).await?;
            keys.codec.ready().await?;
            Some(keys)
        }
    };
    let (converter, vault, signer) = match keys {
        None => (DataConverter::default(), None, None),
        Some(keys) => (keys.codec.data_converter(), keys.vault, keys.signer),
    };
    let connection = ConnectionOptions::new(address.clone())
        .identity(options.identity.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .maybe_tls_options(tls)
        .maybe_api_key(api_key)
        .build();
    let connection = Connection::connect(connection)
        .await
        .map_err(|e| ConnectError::of(&address, &e))?;
    let client = ClientOptions::new(options.namespace.clone())
        .data_converter(converter)
        .build();
    let shown = shown(&address).to_owned();
    let client = Client::new(connection, client).map_err(|e| ConnectionError::Unreachable {
        address: shown.clone(),
        reason: error_chain(&e),
        remedy: "check --address and --namespace",
    })?;
    Ok(Connected {
        client,
        address: shown,
        vault,
        signer,
    })
}

/// The codec for the namespace, and what else uses its keys. By default it refuses payloads that are not encrypted. Otherwise the worker would run the
/// tasks of everybody who can write to Temporal.
///
/// | variable | meaning |
/// |---|---|
/// | `CLAUDE_TASKS_KEYRING` | refused: it is called `TEMPORAL_CODEC_KEYRING` now |
async fn keys(options: &ConnectOptions) -> Result<Keys, ConnectError> {
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
    let vault = match &options.store {
        Some(location) => Some(vault(&mut settings, location, options).await?),
        None => None,
    };
    let signer = match &options.signing_key {
        Some(uri) => Some(signer(&mut settings, uri).await?),
        None => None,
    };
    let codec = settings.open().await;
    let codec = codec.map_err(|error| explained(options.keys, error, WRONG_KEY))?;
    Ok(Keys {
        codec,
        vault,
        signer,
    })
}

async fn vault(
    settings: &mut CodecSettings,
    location: &StoreLocation,
    options: &ConnectOptions,
) -> Result<Vault, ConnectError> {
    let objects = Objects::open(location)?;
    let mut builder = Sealer::builder();
    for uri in &settings.encrypt {
        builder = builder.encrypt_with(key(settings, uri, options.keys, WRONG_KEY).await?);
    }
    for uri in &settings.decrypt {
        builder = builder.decrypt_with(key(settings, uri, options.keys, WRONG_KEY).await?);
    }
    let mut vault = Vault::new(objects, builder.build()?, &options.namespace);
    if let Some(uri) = &options.secrets_key {
        let uri = settings.kms.read_key(uri).map_err(Error::from)?;
        let key = key(settings, &uri, options.keys, WRONG_SECRETS_KEY).await?;
        vault = vault.with_secrets(Sealer::builder().encrypt_with(key).build()?);
    }
    Ok(vault.with_plain_sessions(options.plain_sessions))
}

/// Opens a key. `remedy` is what to do about a wrong name of a local key.
async fn key(
    settings: &CodecSettings,
    uri: &KeyUri,
    keys: KeyUse,
    remedy: &'static str,
) -> Result<Arc<dyn KeyProvider>, Error> {
    let key = settings.kms.key(uri).await;
    key.map_err(|error| explained(keys, error.into(), remedy))
}

/// The error for a client with this use of its keys. A client that only reads has no use for a new key.
fn explained(keys: KeyUse, error: Error, remedy: &'static str) -> Error {
    match error {
        Error::Provider(error) if keys == KeyUse::Decrypt => {
            missing_key::with_remedy(error, remedy).into()
        }
        error => error,
    }
}

async fn signer(settings: &mut CodecSettings, uri: &str) -> Result<RequestSigner, ConnectError> {
    let key = settings.kms.read_key(uri).map_err(Error::from)?;
    let signer = settings.kms.signer(&key).await.map_err(Error::from)?;
    Ok(RequestSigner::new(signer))
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
