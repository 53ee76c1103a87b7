//! Which keys the environment names.

use super::variables::{KEY, items, named};
use crate::{
    ConfigurationError, KeyUri, Scheme,
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
    let provider = variable("KMS_PROVIDER");
    match provider.as_deref() {
        None | Some("gcp") => {}
        Some("aws") => return aws_key(variable),
        Some("local") => return key_list("KMS_PROVIDER", "local://default", options),
        Some(_) => {
            return Err(ConfigurationError::invalid(
                "KMS_PROVIDER",
                "it must be `aws`, `gcp` or `local`",
            ));
        }
    }
    let families = [
        [
            "GCP_PROJECT",
            "GCP_KMS_LOCATION",
            "GCP_KMS_KEY_RING",
            "GCP_KMS_KEY",
        ],
        ["PROJECT_ID", "KMS_LOCATION", "KMS_KEY_RING", "KMS_KEY_NAME"],
    ];
    for [project, location, ring, key] in families {
        let Some(key_name) = variable(key) else {
            continue;
        };
        let required = |name: &str| {
            variable(name).ok_or_else(|| {
                ConfigurationError::invalid(name, format!("it is not set, but {key} is; set both"))
            })
        };
        let (project, ring) = (required(project)?, required(ring)?);
        let location = variable(location).unwrap_or_else(|| "global".to_owned());
        let uri = format!(
            "gcp-kms://projects/{project}/locations/{location}/keyRings/{ring}/cryptoKeys/{key_name}"
        );
        return Ok(vec![uri.parse().map_err(named(key))?]);
    }
    if provider.is_none() && variable("KMS_KEY_ALIAS").is_some() {
        return aws_key(variable);
    }
    Err(ConfigurationError::invalid(
        KEY,
        "it is not set; name the key to encrypt with, such as local://default with \
         TEMPORAL_CODEC_KEYRING=FOLDER, or gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K",
    ))
}

fn aws_key(variable: Variables<'_>) -> Result<Vec<KeyUri>, ConfigurationError> {
    let alias = variable("KMS_KEY_ALIAS").ok_or_else(|| {
        ConfigurationError::invalid("KMS_KEY_ALIAS", "it is not set, but KMS_PROVIDER is `aws`; set it to the key's alias, such as alias/payloads")
    })?;
    let uri = KeyUri::new(Scheme::AWS_KMS, &alias).map_err(named("KMS_KEY_ALIAS"))?;
    Ok(vec![uri])
}

/// The keys between commas.
pub(super) fn key_list(
    name: &'static str,
    list: &str,
    options: &mut Kms,
) -> Result<Vec<KeyUri>, ConfigurationError> {
    items(list, |uri| options.read_key(uri).map_err(named(name)))
}
