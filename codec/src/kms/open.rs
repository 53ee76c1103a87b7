//! Opening the key that a URI names, at the service that it names.

use std::{path::PathBuf, sync::Arc};

use super::{
    CallPolicy, KeyAdmin, KeyProvider, KmsClients, KmsMetrics, ProviderError, ProviderErrorKind,
    SignatureAlgorithm, Signer, local::LocalKeyring,
};
use crate::{ConfigurationError, KeyUri, KmsKind};

/// What the providers need to know beyond a key's URI.
#[derive(Clone, Debug, Default)]
pub struct KmsOptions {
    /// The folder of `local://` keys.
    pub local_keyring: Option<PathBuf>,
    /// Whether a `local://` key that does not exist is created; a signing key is created for ECDSA on P-256. For programs
    /// that say so to their users: a mistyped name then works with a new key. Default: an error names the command.
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
    /// The clients of services. Keys that are opened with clones of these options share them, and with them connections,
    /// credentials and sessions.
    pub clients: KmsClients,
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
        refuse_idle_aws_settings(variable)?;
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
    /// kept in these options, and is not part of the key's name.
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

/// Refuses what asks for other keys at AWS KMS where nothing would come of it.
fn refuse_idle_aws_settings(
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigurationError> {
    let reason = match variable("KMS_PROVIDER").as_deref() {
        None | Some("aws") if cfg!(feature = "aws-kms") => return Ok(()),
        None | Some("aws") => "this build has no AWS KMS; build it with the feature aws-kms",
        Some(_) => "it is for keys at AWS KMS, but KMS_PROVIDER names another service; remove it",
    };
    let set = [
        "KMS_ENABLE_CLOUDHSM",
        "KMS_ENABLE_MULTI_REGION",
        "KMS_REPLICA_REGIONS",
    ]
    .into_iter()
    .find(|name| variable(name).is_some_and(|value| !value.eq_ignore_ascii_case("false")));
    match set {
        None => Ok(()),
        Some(name) => Err(ConfigurationError::invalid(name, reason)),
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
        KmsKind::AwsKms => options.clients.aws(&options.aws).key(uri).await,
        #[cfg(feature = "gcp-kms")]
        KmsKind::GcpKms => gcp(options).key(uri),
        #[cfg(feature = "pkcs11")]
        KmsKind::Pkcs11 => pkcs11(options).key(uri).await,
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
        KmsKind::AwsKms => options.clients.aws(&options.aws).signer(uri).await,
        #[cfg(feature = "gcp-kms")]
        KmsKind::GcpKms => gcp(options).signer(uri),
        #[cfg(feature = "pkcs11")]
        KmsKind::Pkcs11 => pkcs11(options).signer(uri).await,
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
        KmsKind::AwsKms => Ok(options.clients.aws(&options.aws).admin()),
        #[cfg(feature = "gcp-kms")]
        KmsKind::GcpKms => gcp(options).admin(uri),
        #[cfg(feature = "pkcs11")]
        KmsKind::Pkcs11 => pkcs11(options).admin(uri).await,
        #[allow(unreachable_patterns, reason = "with every provider's feature")]
        _ => Err(no_provider(uri)),
    }
}

#[cfg(feature = "gcp-kms")]
fn gcp(options: &KmsOptions) -> super::gcp::GcpKms {
    super::gcp::GcpKms::new(super::gcp::GcpOptions {
        endpoint: options.gcp_endpoint.clone(),
        credentials: options.gcp_credentials.clone(),
    })
}

#[cfg(feature = "pkcs11")]
fn pkcs11(options: &KmsOptions) -> super::pkcs11::Pkcs11Kms {
    super::pkcs11::Pkcs11Kms::new(options.pkcs11.clone())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "gcp-kms")]
    #[tokio::test]
    async fn limits_of_zero_are_refused_before_any_call() {
        let options = |max_concurrent| KmsOptions {
            gcp_endpoint: Some("http://127.0.0.1:1".to_owned()),
            calls: CallPolicy::default().with_max_concurrent(max_concurrent),
            ..KmsOptions::default()
        };
        let uri = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k";
        let uri: KeyUri = uri.parse().unwrap();
        open(&uri, &options(1)).await.unwrap();
        for error in [
            open(&uri, &options(0)).await.err(),
            open_signer(&uri, &options(0)).await.err(),
        ] {
            let error = error.unwrap();
            assert_eq!(error.kind(), ProviderErrorKind::Misconfigured);
            assert!(error.to_string().contains("more than zero"), "{error}");
        }
    }

    #[test]
    fn settings_of_another_service_are_not_passed_over() {
        let from = |variables: &[(&str, &str)]| {
            KmsOptions::from_variables(&|name| {
                let mut found = variables.iter().filter(|(n, _)| *n == name);
                found.next().map(|(_, value)| (*value).to_owned())
            })
        };
        for (name, value) in [
            ("KMS_ENABLE_CLOUDHSM", "true"),
            ("KMS_ENABLE_MULTI_REGION", "true"),
            ("KMS_REPLICA_REGIONS", "eu-west-1"),
        ] {
            for provider in ["gcp", "local"] {
                let error = from(&[("KMS_PROVIDER", provider), (name, value)]).unwrap_err();
                assert_eq!(error.setting(), name);
            }
        }
        from(&[("KMS_PROVIDER", "gcp"), ("KMS_ENABLE_CLOUDHSM", "false")]).unwrap();
        #[cfg(feature = "aws-kms")]
        from(&[("KMS_PROVIDER", "aws"), ("KMS_ENABLE_MULTI_REGION", "true")]).unwrap();
    }
}
