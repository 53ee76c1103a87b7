//! The variables that AWS's own library reads, and those that name a key in place of its URI.

use temporal_kms::{
    AnyFolder, ConfigurationError, KeyUri, Scheme, Setting, SettingKind, Variables,
};

/// What `KMS_PROVIDER` calls AWS KMS.
pub(super) const PROVIDER_NAME: &str = "aws";
pub(super) const PROVIDER: &str = "KMS_PROVIDER";
pub(super) const ALIAS: &str = "KMS_KEY_ALIAS";

/// What AWS's library reads to find credentials.
///
/// | variable | meaning |
/// |---|---|
/// | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | an access key of AWS |
/// | `AWS_PROFILE` | a profile of AWS's configuration files |
/// | `AWS_CONFIG_FILE`, `AWS_SHARED_CREDENTIALS_FILE` | where AWS's configuration files are |
/// | `AWS_CONTAINER_CREDENTIALS_FULL_URI`, `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` | where a container gets its role's credentials; AWS sets them |
/// | `AWS_EC2_METADATA_DISABLED`, `AWS_EC2_METADATA_SERVICE_ENDPOINT` | `true` keeps the programs from asking the machine for its role; where they ask |
pub(super) const LIBRARY: &[Setting] = &[
    Setting::new("aws_access_key", SettingKind::Text, "An access key of AWS.")
        .variables(&[
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
        ])
        .secret(),
    Setting::new(
        "aws_profile",
        SettingKind::Text,
        "A profile of AWS's configuration files.",
    )
    .variables(&["AWS_PROFILE"])
    .any_folder(AnyFolder::Anything),
    Setting::new(
        "aws_config_file",
        SettingKind::Path,
        "AWS's configuration file.",
    )
    .variables(&["AWS_CONFIG_FILE"]),
    Setting::new(
        "aws_credentials_file",
        SettingKind::Path,
        "AWS's credentials file.",
    )
    .variables(&["AWS_SHARED_CREDENTIALS_FILE"]),
    Setting::new(
        "aws_container_credentials",
        SettingKind::Text,
        "Where a container gets its role's credentials.",
    )
    .variables(&[
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    ]),
    Setting::new(
        "aws_machine_credentials",
        SettingKind::Text,
        "Whether and where the machine is asked for its role.",
    )
    .variables(&[
        "AWS_EC2_METADATA_DISABLED",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    ]),
];

/// A key's name without its scheme.
pub(super) const KEY: &[Setting] = &[Setting::new(
    "aws_key",
    SettingKind::Text,
    "The alias or the ARN of the key.",
)
.variables(&[ALIAS])
.any_folder(AnyFolder::Anything)];

/// The key that variables name.
///
/// | variable | meaning |
/// |---|---|
/// | `KMS_KEY_ALIAS` | the key at AWS KMS, in place of `TEMPORAL_CODEC_KEY`: `alias/NAME` or an ARN |
pub(super) fn named_key(variable: Variables<'_>) -> Result<Option<KeyUri>, ConfigurationError> {
    let Some(alias) = variable(ALIAS) else {
        if variable(PROVIDER).is_none() {
            return Ok(None);
        }
        return Err(ConfigurationError::invalid(
            ALIAS,
            "it is not set, but KMS_PROVIDER is `aws`; set it to the key's alias, such as alias/payloads",
        ));
    };
    KeyUri::new(Scheme::AWS_KMS, &alias)
        .map(Some)
        .map_err(|error| ConfigurationError::invalid(ALIAS, error.reason()))
}

/// Refuses variables that would have no effect, because `KMS_PROVIDER` names another service.
pub(super) fn refuse_idle(variable: Variables<'_>) -> Result<(), ConfigurationError> {
    if variable(PROVIDER).is_none_or(|name| name == PROVIDER_NAME) {
        return Ok(());
    }
    let is_set =
        |name: &&str| variable(name).is_some_and(|value| !value.eq_ignore_ascii_case("false"));
    let idle = [
        "KMS_ENABLE_CLOUDHSM",
        "KMS_ENABLE_MULTI_REGION",
        "KMS_REPLICA_REGIONS",
    ];
    match idle.into_iter().find(is_set) {
        None => Ok(()),
        Some(name) => Err(ConfigurationError::invalid(
            name,
            "it is for keys at AWS KMS, but KMS_PROVIDER names another service; remove it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'v>(variables: &'v [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'v {
        move |name: &str| {
            let mut found = variables.iter().filter(|(known, _)| *known == name);
            found.next().map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn settings_of_another_service_are_not_passed_over() {
        for (name, value) in [
            ("KMS_ENABLE_CLOUDHSM", "true"),
            ("KMS_ENABLE_MULTI_REGION", "true"),
            ("KMS_REPLICA_REGIONS", "eu-west-1"),
        ] {
            for provider in ["gcp", "local"] {
                let error = refuse_idle(&with(&[(PROVIDER, provider), (name, value)]));
                assert_eq!(error.unwrap_err().setting(), name);
            }
            refuse_idle(&with(&[(PROVIDER, "aws"), (name, value)])).unwrap();
            refuse_idle(&with(&[(name, value)])).unwrap();
        }
        refuse_idle(&with(&[
            (PROVIDER, "gcp"),
            ("KMS_ENABLE_CLOUDHSM", "false"),
        ]))
        .unwrap();
    }

    #[test]
    fn a_key_is_named_by_its_alias() {
        let named = |variables: &[(&str, &str)]| named_key(&with(variables));
        let key = named(&[(ALIAS, "alias/workflows")]).unwrap().unwrap();
        assert_eq!(key.to_string(), "aws-kms://alias/workflows");
        assert_eq!(named(&[]), Ok(None));
        for wrong in [&[(PROVIDER, "aws")][..], &[(ALIAS, "workflows")]] {
            assert_eq!(named(wrong).unwrap_err().setting(), ALIAS);
        }
    }
}
