use std::{path::PathBuf, sync::Arc};

#[cfg(feature = "aws-kms")]
use super::aws::AwsKms;
use super::{
    CallPolicy, KeyAdmin, KeyProvider, KmsMetrics, ProviderError, ProviderErrorKind,
    SignatureAlgorithm, Signer, local::LocalKeyring,
};
use crate::{ConfigurationError, KeyUri, KmsKind};

/// What the providers need to know beyond a key's URI.
#[derive(Clone, Debug, Default)]
pub struct KmsOptions {
    /// The folder of `local://` keys.
    pub local_keyring: Option<PathBuf>,
    /// Whether a `local://` key that does not exist is made; a signing key is made for ECDSA on P-256.
    pub create_local_keys: bool,
    /// Deadlines, retries and limits of calls of a service. Local keys are files, and none of it applies to them.
    pub calls: CallPolicy,
    /// Where calls are counted; the keys that are opened with clones of these options share it.
    pub metrics: Arc<KmsMetrics>,
    /// Where `gcp-kms://` keys are reached instead of Cloud KMS: an emulator on this machine, such as
    /// `http://127.0.0.1:8080`. Any other host is refused. It gets no credentials unless `gcp_credentials` names some.
    pub gcp_endpoint: Option<String>,
    /// A credentials file of Google Cloud. Without it, and without an endpoint, the application default credentials
    /// are used: `GOOGLE_APPLICATION_CREDENTIALS`, those of `gcloud`, or the metadata server's.
    pub gcp_credentials: Option<PathBuf>,
    /// Who calls AWS KMS, and where it is.
    #[cfg(feature = "aws-kms")]
    pub aws: super::aws::AwsOptions,
    /// How PKCS#11 tokens are reached.
    #[cfg(feature = "pkcs11")]
    pub pkcs11: super::pkcs11::Pkcs11Options,
}

impl KmsOptions {
    /// The options from environment variables: `TEMPORAL_CODEC_KEYRING` is the folder of `local://` keys,
    /// `GCP_KMS_ENDPOINT` an emulator of Cloud KMS on this machine; those of AWS are the ones of
    /// `AwsOptions::from_env`, those of PKCS#11 the ones of `Pkcs11Options::from_env`.
    ///
    /// # Errors
    /// When a variable has no valid value.
    pub fn from_env() -> Result<Self, ConfigurationError> {
        Self::from_variables(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// As [`from_env`](Self::from_env), of other variables than the process's. None of them may be empty.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigurationError> {
        Ok(Self {
            local_keyring: variable("TEMPORAL_CODEC_KEYRING").map(PathBuf::from),
            gcp_endpoint: variable("GCP_KMS_ENDPOINT"),
            #[cfg(feature = "aws-kms")]
            aws: super::aws::AwsOptions::from_variables(variable)?,
            #[cfg(feature = "pkcs11")]
            pkcs11: super::pkcs11::Pkcs11Options::from_variables(variable)?,
            ..Self::default()
        })
    }

    /// Reads a key URI as a configuration has it. What the query of a PKCS#11 URI says (`module-path`, `pin-source`) is
    /// kept in these options, and is no part of the key's name.
    ///
    /// # Errors
    /// When the URI is none.
    #[cfg_attr(
        not(feature = "pkcs11"),
        allow(clippy::unused_self, reason = "only PKCS#11 URIs say more than a name")
    )]
    pub fn read_key(&mut self, uri: &str) -> Result<KeyUri, ConfigurationError> {
        #[cfg(feature = "pkcs11")]
        if uri.starts_with("pkcs11:") {
            return self.pkcs11.read_key(uri);
        }
        uri.parse()
    }
}

/// Opens the key that `uri` names at the service that `uri` names.
///
/// # Errors
/// When the key's settings are incomplete, or this build has no provider for the service. Whether the service knows
/// the key and the caller may use it turns out with the first call; ask [`KeyProvider::describe`].
pub async fn open(
    uri: &KeyUri,
    options: &KmsOptions,
) -> Result<Arc<dyn KeyProvider>, ProviderError> {
    let key = open_bare(uri, options).await?;
    Ok(match uri.kms() {
        KmsKind::Local => key,
        _ => options
            .calls
            .decorate(key, &options.metrics)
            .map_err(|error| cannot_work(uri, &error))?,
    })
}

async fn open_bare(
    uri: &KeyUri,
    options: &KmsOptions,
) -> Result<Arc<dyn KeyProvider>, ProviderError> {
    match uri.kms() {
        KmsKind::Local if options.create_local_keys => {
            local_keyring(uri, options)?.key_or_create(uri.resource())
        }
        KmsKind::Local => local_keyring(uri, options)?.key(uri.resource()),
        #[cfg(feature = "aws-kms")]
        KmsKind::AwsKms => AwsKms::new(options.aws.clone()).key(uri).await,
        #[cfg(feature = "gcp-kms")]
        KmsKind::GcpKms => super::gcp::open(uri, options),
        #[cfg(feature = "pkcs11")]
        KmsKind::Pkcs11 => super::pkcs11::open(uri, &options.pkcs11).await,
        #[allow(unreachable_patterns, reason = "with every provider's feature")]
        _ => Err(no_provider(uri)),
    }
}

/// Opens the signing key that `uri` names at the service that `uri` names.
///
/// # Errors
/// As [`open`].
pub async fn open_signer(
    uri: &KeyUri,
    options: &KmsOptions,
) -> Result<Arc<dyn Signer>, ProviderError> {
    let key = open_bare_signer(uri, options).await?;
    Ok(match uri.kms() {
        KmsKind::Local => key,
        _ => options
            .calls
            .decorate_signer(key, &options.metrics)
            .map_err(|error| cannot_work(uri, &error))?,
    })
}

async fn open_bare_signer(
    uri: &KeyUri,
    options: &KmsOptions,
) -> Result<Arc<dyn Signer>, ProviderError> {
    match uri.kms() {
        KmsKind::Local if options.create_local_keys => local_keyring(uri, options)?
            .signing_key_or_create(uri.resource(), SignatureAlgorithm::EcdsaP256Sha256),
        KmsKind::Local => local_keyring(uri, options)?.signing_key(uri.resource()),
        #[cfg(feature = "aws-kms")]
        KmsKind::AwsKms => AwsKms::new(options.aws.clone()).signer(uri).await,
        #[cfg(feature = "gcp-kms")]
        KmsKind::GcpKms => super::gcp::open_signer(uri, options),
        #[cfg(feature = "pkcs11")]
        KmsKind::Pkcs11 => super::pkcs11::open_signer(uri, &options.pkcs11).await,
        #[allow(unreachable_patterns, reason = "with every provider's feature")]
        _ => Err(no_provider(uri)),
    }
}

/// Opens the service that `uri` names for looking after its keys. The key that `uri` names need not exist.
///
/// # Errors
/// As [`open`].
pub async fn open_admin(
    uri: &KeyUri,
    options: &KmsOptions,
) -> Result<Arc<dyn KeyAdmin>, ProviderError> {
    match uri.kms() {
        KmsKind::Local => Ok(Arc::new(local_keyring(uri, options)?)),
        #[cfg(feature = "aws-kms")]
        KmsKind::AwsKms => Ok(AwsKms::new(options.aws.clone()).admin()),
        #[cfg(feature = "gcp-kms")]
        KmsKind::GcpKms => super::gcp::open_admin(uri, options),
        #[cfg(feature = "pkcs11")]
        KmsKind::Pkcs11 => super::pkcs11::open_admin(uri, &options.pkcs11).await,
        #[allow(unreachable_patterns, reason = "with every provider's feature")]
        _ => Err(no_provider(uri)),
    }
}

fn local_keyring(uri: &KeyUri, options: &KmsOptions) -> Result<LocalKeyring, ProviderError> {
    match &options.local_keyring {
        Some(folder) => Ok(LocalKeyring::open(folder)),
        None => Err(misconfigured(uri, "name the folder of the local keyring")),
    }
}

fn no_provider(uri: &KeyUri) -> ProviderError {
    // The features are called as the schemes are.
    let feature = uri.kms().scheme();
    ProviderError::new(ProviderErrorKind::Misconfigured, uri).with_detail(format!(
        "this build has no provider for the service; build it with the feature {feature}"
    ))
}

fn cannot_work(uri: &KeyUri, error: &ConfigurationError) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Misconfigured, uri).with_detail(error.to_string())
}

fn misconfigured(uri: &KeyUri, detail: &'static str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Misconfigured, uri).with_detail(detail)
}
