//! The options of AWS KMS from environment variables.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::{AwsCredentials, AwsOptions, AwsRole, WebIdentityToken, settings::SETTINGS};
use temporal_kms::{ConfigurationError, Variables};

impl AwsOptions {
    /// The options from environment variables.
    ///
    /// | variable | meaning | default |
    /// |---|---|---|
    /// | `AWS_REGION`, `AWS_DEFAULT_REGION` | the region of keys that are named by an alias | |
    /// | `KMS_AUTH_MODE` | `iam`: the credentials in AWS's own variables, files and metadata services; `oidc`: a role by an OIDC token | `iam` |
    /// | `KMS_ROLE_ARN` | the role to assume; with `oidc` also `AWS_ROLE_ARN` | |
    /// | `KMS_ROLE_EXTERNAL_ID`, `KMS_ROLE_SESSION_NAME` | the external id that the role's trust policy demands, and the session's name in logs | |
    /// | `OIDC_TOKEN_PATH`, `OIDC_TOKEN`, `AWS_WEB_IDENTITY_TOKEN_FILE` | the token, or the path of its file; the first that is set counts | |
    /// | `KMS_REPLICA_REGIONS` | regions that may serve multi-region keys, with commas between them | none |
    /// | `KMS_ENABLE_MULTI_REGION` | `true`: new keys may have replicas in other regions | `false` |
    /// | `KMS_ENABLE_CLOUDHSM` | `true`: new keys are created in the AWS `CloudHSM` key store `KMS_CUSTOM_KEY_STORE_ID` | `false` |
    /// | `KMS_CUSTOM_KEY_STORE_ID` | the id of that key store, `cks-…` | |
    /// | `AWS_ENDPOINT_URL_KMS`, `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL` | the endpoints of the services | the public endpoints |
    /// | `AWS_USE_FIPS_ENDPOINT` | `true` for the FIPS 140 endpoints | `false` |
    ///
    /// # Errors
    /// When the value of a variable is not valid, `oidc` lacks its role or its token, or `KMS_ENABLE_CLOUDHSM` lacks
    /// its key store.
    pub fn from_env() -> Result<Self, ConfigurationError> {
        Self::from_variables(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// As [`from_env`](Self::from_env), with variables from `variable` instead of the process. `variable` returns no
    /// empty values.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(variable: Variables<'_>) -> Result<Self, ConfigurationError> {
        let mut options = Self::default();
        SETTINGS.read_variables(&mut options, variable)?;
        let first = |names: &[&str]| names.iter().find_map(|name| variable(name));
        let role = |arn: String| AwsRole {
            arn,
            external_id: variable("KMS_ROLE_EXTERNAL_ID"),
            session_name: variable("KMS_ROLE_SESSION_NAME"),
        };
        let (credentials, role) = match variable("KMS_AUTH_MODE").as_deref() {
            None | Some("iam") => (AwsCredentials::Chain, variable("KMS_ROLE_ARN").map(role)),
            Some("oidc") => {
                let Some(arn) = first(&["KMS_ROLE_ARN", "AWS_ROLE_ARN"]) else {
                    return Err(ConfigurationError::invalid(
                        "KMS_ROLE_ARN",
                        "it is not set, but KMS_AUTH_MODE=oidc needs a role to assume; set it to the role's ARN",
                    ));
                };
                let token = token(variable)?;
                let role = role(arn);
                (AwsCredentials::WebIdentity { role, token }, None)
            }
            Some(_) => {
                return Err(ConfigurationError::invalid(
                    "KMS_AUTH_MODE",
                    "it must be `iam` or `oidc`",
                ));
            }
        };
        options.credentials = credentials;
        options.role = role;
        options.custom_key_store = custom_key_store(variable)?;
        Ok(options)
    }
}

fn flag(variable: Variables<'_>, name: &str) -> Result<bool, ConfigurationError> {
    match variable(name)
        .map(|value| value.to_ascii_lowercase())
        .as_deref()
    {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ConfigurationError::invalid(
            name,
            "it must be `true` or `false`",
        )),
    }
}

/// The `CloudHSM` key store of new keys.
fn custom_key_store(variable: Variables<'_>) -> Result<Option<String>, ConfigurationError> {
    const ID: &str = "KMS_CUSTOM_KEY_STORE_ID";
    match (flag(variable, "KMS_ENABLE_CLOUDHSM")?, variable(ID)) {
        (true, None) => Err(ConfigurationError::invalid(
            "KMS_ENABLE_CLOUDHSM",
            "AWS KMS has to know the key store: set KMS_CUSTOM_KEY_STORE_ID to its id (cks-…)",
        )),
        (false, Some(_)) => Err(ConfigurationError::invalid(
            ID,
            "it has no effect without KMS_ENABLE_CLOUDHSM=true; set both, or neither",
        )),
        (true, Some(id)) if !id.starts_with("cks-") => Err(ConfigurationError::invalid(
            ID,
            "it must be the id of a key store, which begins with cks-",
        )),
        (_, id) => Ok(id),
    }
}

fn token(variable: Variables<'_>) -> Result<WebIdentityToken, ConfigurationError> {
    let file = |name| variable(name).map(|path| WebIdentityToken::File(PathBuf::from(path)));
    file("OIDC_TOKEN_PATH")
        .or_else(|| variable("OIDC_TOKEN").map(|token| WebIdentityToken::Text(Zeroizing::new(token))))
        .or_else(|| file("AWS_WEB_IDENTITY_TOKEN_FILE"))
        .ok_or_else(|| {
            ConfigurationError::invalid(
                "OIDC_TOKEN_PATH",
                "no OIDC token: set it to the token's file, or OIDC_TOKEN to the token; on EKS annotate the service \
                 account with eks.amazonaws.com/role-arn",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<AwsOptions, ConfigurationError> {
        AwsOptions::from_variables(&|name| {
            let mut found = variables.iter().filter(|(n, _)| *n == name);
            found.next().map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_means_the_default_chain() {
        let options = from(&[]).unwrap();
        assert!(matches!(options.credentials, AwsCredentials::Chain));
        assert!(options.role.is_none() && options.region.is_none() && options.replicas.is_empty());
        assert_eq!(options, AwsOptions::default());
    }

    #[test]
    fn every_variable_reaches_its_option() {
        let options = from(&[
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("KMS_ROLE_ARN", "arn:aws:iam::111122223333:role/keys"),
            ("KMS_ROLE_EXTERNAL_ID", "partner"),
            ("KMS_ROLE_SESSION_NAME", "worker"),
            ("KMS_REPLICA_REGIONS", "us-west-2, eu-central-1"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:2"),
            ("AWS_USE_FIPS_ENDPOINT", "true"),
            ("KMS_ENABLE_MULTI_REGION", "true"),
            ("KMS_ENABLE_CLOUDHSM", "True"),
            ("KMS_CUSTOM_KEY_STORE_ID", "cks-1234"),
        ])
        .unwrap();
        assert!(options.multi_region);
        assert_eq!(options.custom_key_store.as_deref(), Some("cks-1234"));
        let role = options.role.unwrap();
        assert_eq!(role.arn, "arn:aws:iam::111122223333:role/keys");
        assert_eq!(role.external_id.as_deref(), Some("partner"));
        assert_eq!(role.session_name.as_deref(), Some("worker"));
        assert_eq!(options.region.as_deref(), Some("eu-west-1"));
        let regions: Vec<_> = options.replicas.iter().map(|r| r.region.as_str()).collect();
        assert_eq!(regions, ["us-west-2", "eu-central-1"]);
        assert_eq!(options.endpoint.as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(options.sts_endpoint.as_deref(), Some("http://127.0.0.1:2"));
        assert!(options.fips);
    }

    #[test]
    fn a_web_identity_takes_its_token_from_the_first_place_that_is_set() {
        let file = |path: &str| WebIdentityToken::File(path.into());
        let text = WebIdentityToken::Text(Zeroizing::new("jwt".to_owned()));
        let cases: [(&[(&str, &str)], WebIdentityToken); 3] = [
            (
                &[("OIDC_TOKEN", "jwt"), ("OIDC_TOKEN_PATH", "/a")],
                file("/a"),
            ),
            (
                &[("OIDC_TOKEN", "jwt"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/b")],
                text,
            ),
            (&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/b")], file("/b")),
        ];
        for (variables, expected) in cases {
            let mut all = vec![("KMS_AUTH_MODE", "oidc"), ("AWS_ROLE_ARN", "role")];
            all.extend(variables);
            match from(&all).unwrap().credentials {
                AwsCredentials::WebIdentity { token, role } => {
                    assert_eq!((token, role.arn.as_str()), (expected, "role"));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn says_which_variable_is_at_fault() {
        let cases: [(&[(&str, &str)], &str); 8] = [
            (&[("KMS_ENABLE_CLOUDHSM", "true")], "KMS_ENABLE_CLOUDHSM"),
            (&[("KMS_ENABLE_CLOUDHSM", "1")], "KMS_ENABLE_CLOUDHSM"),
            (
                &[("KMS_ENABLE_MULTI_REGION", "yes")],
                "KMS_ENABLE_MULTI_REGION",
            ),
            (
                &[("KMS_CUSTOM_KEY_STORE_ID", "cks-1")],
                "KMS_CUSTOM_KEY_STORE_ID",
            ),
            (&[("AWS_USE_FIPS_ENDPOINT", "on")], "AWS_USE_FIPS_ENDPOINT"),
            (&[("KMS_AUTH_MODE", "ldap")], "KMS_AUTH_MODE"),
            (&[("KMS_AUTH_MODE", "oidc")], "KMS_ROLE_ARN"),
            (
                &[("KMS_AUTH_MODE", "oidc"), ("KMS_ROLE_ARN", "r")],
                "OIDC_TOKEN_PATH",
            ),
        ];
        for (variables, setting) in cases {
            assert_eq!(from(variables).unwrap_err().setting(), setting);
        }
    }
    #[test]
    fn the_table_has_every_variable_that_is_read_and_no_other() {
        let read = std::cell::RefCell::new(std::collections::BTreeSet::new());
        for mode in ["iam", "oidc"] {
            let _ = AwsOptions::from_variables(&|name| {
                read.borrow_mut().insert(name.to_owned());
                match name {
                    "KMS_AUTH_MODE" => Some(mode.to_owned()),
                    "KMS_ROLE_ARN" if mode == "iam" => Some("arn".to_owned()),
                    "AWS_ROLE_ARN" => Some("arn".to_owned()),
                    _ => None,
                }
            });
        }
        let table = SETTINGS.settings().into_iter();
        let table = table.flat_map(temporal_kms::Setting::variable_names);
        assert_eq!(
            read.into_inner(),
            table.map(|name| (*name).to_owned()).collect()
        );
    }
}
