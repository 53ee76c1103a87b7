//! What AWS KMS needs to know beyond a key's name.

use std::{fmt, path::PathBuf};

use zeroize::Zeroizing;

/// What AWS KMS needs to know beyond a key's URI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsOptions {
    /// The region of keys whose name tells none: `aws-kms://alias/NAME`. A name with `?region=REGION` needs no other.
    pub region: Option<String>,
    /// Who the caller is.
    pub credentials: AwsCredentials,
    /// A role that the caller takes on, such as one of the account that owns the key.
    pub role: Option<AwsRole>,
    /// Regions that may serve a multi-region key (`mrk-…`) while its own region is unreachable, in the order in which they are
    /// tried. A key that is named by its alias is served there once an answer has told its ARN. Other keys have no
    /// replicas; a warning says so.
    pub replicas: Vec<AwsReplica>,
    /// The URL of AWS KMS in the key's own region, where it is not the public one: a VPC endpoint, or an emulator.
    /// `http://` is for this machine only.
    pub endpoint: Option<String>,
    /// The URL of AWS STS, likewise.
    pub sts_endpoint: Option<String>,
    /// Whether to call the FIPS 140 endpoints.
    pub fips: bool,
    /// The AWS `CloudHSM` key store that new keys are made in, by its id (`cks-…`); AWS KMS's own HSMs when `None`.
    pub custom_key_store: Option<String>,
    /// Whether new keys may have replicas in other regions, as [`KeySpec::multi_region`](temporal_kms::KeySpec) asks for one
    /// key.
    pub multi_region: bool,
    /// Days until a key is deleted that was scheduled for it, from 7 to 30. Default: 30.
    pub deletion_window_days: Option<u8>,
}

/// A region that has a replica of a multi-region key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsReplica {
    /// The region, such as `us-west-2`.
    pub region: String,
    /// As [`AwsOptions::endpoint`], for this region.
    pub endpoint: Option<String>,
}

impl AwsReplica {
    /// The replica at the public endpoint of `region`.
    #[must_use]
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            endpoint: None,
        }
    }
}

/// Who calls AWS.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AwsCredentials {
    /// The credentials that every AWS SDK finds in the environment: variables, the shared profile, a web identity
    /// (`AWS_WEB_IDENTITY_TOKEN_FILE`), the container's or the machine's role. Profiles that start a program or log in
    /// through IAM Identity Center are not supported.
    #[default]
    Chain,
    /// An access key.
    Key {
        /// The access key's id.
        id: String,
        /// The secret access key.
        secret: Zeroizing<String>,
        /// The session token of a temporary access key.
        session_token: Option<Zeroizing<String>>,
    },
    /// A role that an OIDC token permits to take on, for an hour at a time.
    WebIdentity {
        /// The role.
        role: AwsRole,
        /// The token that proves it.
        token: WebIdentityToken,
    },
}

/// A role to take on, for an hour at a time.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsRole {
    /// The role's ARN, `arn:aws:iam::ACCOUNT:role/NAME`.
    pub arn: String,
    /// What the role's trust policy may demand of callers from other accounts. A web identity has none.
    pub external_id: Option<String>,
    /// What AWS's logs call the session. Default: `temporal-kms-codec`.
    pub session_name: Option<String>,
}

impl AwsRole {
    /// The role `arn`.
    #[must_use]
    pub fn new(arn: impl Into<String>) -> Self {
        Self {
            arn: arn.into(),
            external_id: None,
            session_name: None,
        }
    }
}

/// An OIDC token.
#[derive(Clone, PartialEq, Eq)]
pub enum WebIdentityToken {
    /// In a file, which is read again for each session. Its writer renews it.
    File(PathBuf),
    /// The token itself. Sessions end with its validity.
    Text(Zeroizing<String>),
}

impl fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain => f.write_str("Chain"),
            Self::Key { id, .. } => f
                .debug_struct("Key")
                .field("id", id)
                .finish_non_exhaustive(),
            Self::WebIdentity { role, token } => f
                .debug_struct("WebIdentity")
                .field("role", role)
                .field("token", token)
                .finish(),
        }
    }
}

impl fmt::Debug for AwsRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsRole")
            .field("arn", &self.arn)
            .field("external_id", &self.external_id.as_ref().map(|_| ".."))
            .field("session_name", &self.session_name)
            .finish()
    }
}

impl fmt::Debug for WebIdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(_) => f.write_str("Text(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_secret() {
        let secret = || Zeroizing::new("SeCrEt".to_owned());
        let role = AwsRole {
            external_id: Some("SeCrEt".to_owned()),
            ..AwsRole::new("arn:aws:iam::111122223333:role/r")
        };
        let key = AwsCredentials::Key {
            id: "AKIA".to_owned(),
            secret: secret(),
            session_token: Some(secret()),
        };
        let identity = AwsCredentials::WebIdentity {
            role: role.clone(),
            token: WebIdentityToken::Text(secret()),
        };
        for credentials in [key, identity] {
            let options = AwsOptions {
                credentials,
                role: Some(role.clone()),
                ..AwsOptions::default()
            };
            let shown = format!("{options:?}");
            assert!(!shown.contains("SeCrEt"), "{shown}");
            assert!(shown.contains("role/r"), "{shown}");
        }
    }
}
