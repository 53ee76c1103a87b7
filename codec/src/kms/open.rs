use std::{path::PathBuf, sync::Arc};

use super::{KeyProvider, ProviderError, ProviderErrorKind, local::LocalKeyring};
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
    let misconfigured = |detail: &'static str| {
        Err(ProviderError::new(ProviderErrorKind::Misconfigured, uri).with_detail(detail))
    };
    match uri.kms() {
        KmsKind::Local => match &options.local_keyring {
            None => misconfigured("name the folder of the local keyring"),
            Some(folder) if options.create_local_keys => {
                LocalKeyring::open(folder).key_or_create(uri.resource())
            }
            Some(folder) => LocalKeyring::open(folder).key(uri.resource()),
        },
        _ => misconfigured("this build has no provider for the service"),
    }
}
