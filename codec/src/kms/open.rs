use std::{path::PathBuf, sync::Arc};

use super::{
    KeyAdmin, KeyProvider, ProviderError, ProviderErrorKind, Signer, local::LocalKeyring,
};
use crate::{KeyUri, KmsKind};

/// What the providers need to know beyond a key's URI.
#[derive(Clone, Debug, Default)]
pub struct KmsOptions {
    /// The folder of `local://` keys.
    pub local_keyring: Option<PathBuf>,
    /// Whether a `local://` key that does not exist is made.
    pub create_local_keys: bool,
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
    match uri.kms() {
        KmsKind::Local if options.create_local_keys => {
            local_keyring(uri, options)?.key_or_create(uri.resource())
        }
        KmsKind::Local => local_keyring(uri, options)?.key(uri.resource()),
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
    let _ = options;
    match uri.kms() {
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
    let _ = options;
    match uri.kms() {
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
    misconfigured(uri, "this build has no provider for the service")
}

fn misconfigured(uri: &KeyUri, detail: &'static str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Misconfigured, uri).with_detail(detail)
}
