//! Variables that ask for something that nothing would come of.

use super::Variables;
use crate::ConfigurationError;

/// Refuses variables that ask for a kind of key at AWS KMS where AWS KMS is not used.
pub(super) fn refuse(variable: Variables<'_>) -> Result<(), ConfigurationError> {
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

#[cfg(test)]
mod tests {
    use crate::kms::Kms;

    #[test]
    fn settings_of_another_service_are_not_passed_over() {
        let from = |variables: &[(&str, &str)]| {
            Kms::from_variables(&|name| {
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
