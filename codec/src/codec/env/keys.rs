//! Which keys the environment names.

use super::variables::{KEY, items, named};
use crate::{
    ConfigurationError, KeyUri,
    kms::{Kms, Variables},
};

/// The keys to encrypt with.
pub(super) fn encrypting_keys(
    variable: Variables<'_>,
    options: &mut Kms,
) -> Result<Vec<KeyUri>, ConfigurationError> {
    if let Some(list) = variable(KEY) {
        return key_list(KEY, &list, options);
    }
    if let Some(key) = options.named_key(variable)? {
        return Ok(vec![key]);
    }
    let forms = options.services().flat_map(|service| service.key_forms());
    let forms: Vec<_> = forms.collect();
    Err(ConfigurationError::invalid(
        KEY,
        format!(
            "it is not set; name the key to encrypt with, such as local://default with TEMPORAL_CODEC_KEYRING=FOLDER. \
             This build has keys of these forms: {}",
            forms.join(", ")
        ),
    ))
}

/// The keys between commas.
pub(super) fn key_list(
    name: &'static str,
    list: &str,
    options: &mut Kms,
) -> Result<Vec<KeyUri>, ConfigurationError> {
    items(list, |uri| options.read_key(uri).map_err(named(name)))
}
