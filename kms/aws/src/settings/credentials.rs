//! The caller's credentials, as the settings name them. They are shown without their secrets.

use std::{fmt, path::PathBuf};

use zeroize::Zeroizing;

/// The source of credentials for AWS.
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
    /// A role that is assumed with an OIDC token, for an hour at a time.
    WebIdentity {
        /// The role.
        role: AwsRole,
        /// The token that proves the caller's identity.
        token: WebIdentityToken,
    },
}

/// A role to assume, for an hour at a time.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AwsRole {
    /// The role's ARN, `arn:aws:iam::ACCOUNT:role/NAME`.
    pub arn: String,
    /// The external id that a role's trust policy may demand from callers of other accounts. Not used with a web
    /// identity.
    pub external_id: Option<String>,
    /// The session's name in AWS's logs. Default: `temporal-kms-codec`.
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

    /// Sets [`external_id`](Self::external_id).
    #[must_use]
    pub fn with_external_id(mut self, id: impl Into<String>) -> Self {
        self.external_id = Some(id.into());
        self
    }

    /// Sets [`session_name`](Self::session_name).
    #[must_use]
    pub fn with_session_name(mut self, name: impl Into<String>) -> Self {
        self.session_name = Some(name.into());
        self
    }
}

/// An OIDC token.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebIdentityToken {
    /// A file, which is read again for each session. Its writer renews the token.
    File(PathBuf),
    /// The token itself. When it expires, sessions end.
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
