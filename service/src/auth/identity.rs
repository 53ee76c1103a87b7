//! Who a caller is, and what the caller may do.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use temporal_kms_codec::Namespace;

use super::{permissions::Permissions, role::Action};

/// An authenticated caller. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    subject: String,
    issuer: Option<Vouching>,
    email: Option<String>,
    method: Method,
    permissions: Permissions,
}

/// The issuer that vouches for a caller.
#[derive(Debug)]
pub(super) struct Vouching {
    /// Its name in the configuration.
    pub(super) name: String,
    /// The claim `iss` of its tokens.
    pub(super) url: String,
}

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// The server authenticates nobody, so that every caller has every role.
    Open,
    /// A token of an OIDC issuer, in `Authorization` or `Authorization-Extras`.
    Jwt,
    /// A token of the configuration.
    StaticToken,
    /// A certificate of mutual TLS.
    Certificate,
    /// The user of a process at the other end of a Unix socket.
    UnixSocket,
    /// The cookie of a login in the browser.
    Session,
}

impl Method {
    /// Its name for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Jwt => "jwt",
            Self::StaticToken => "static-token",
            Self::Certificate => "certificate",
            Self::UnixSocket => "unix-socket",
            Self::Session => "session",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Identity {
    pub(super) fn new(
        subject: impl Into<String>,
        method: Method,
        permissions: Permissions,
    ) -> Self {
        Self(Arc::new(Inner {
            subject: subject.into(),
            issuer: None,
            email: None,
            method,
            permissions,
        }))
    }

    /// An identity that an issuer vouches for.
    pub(super) fn of_issuer(
        subject: String,
        issuer: Vouching,
        email: Option<String>,
        method: Method,
        permissions: Permissions,
    ) -> Self {
        Self(Arc::new(Inner {
            subject,
            issuer: Some(issuer),
            email,
            method,
            permissions,
        }))
    }

    /// The caller of a server that authenticates nobody.
    #[must_use]
    pub fn anyone() -> Self {
        static ANYONE: LazyLock<Identity> =
            LazyLock::new(|| Identity::new("anyone", Method::Open, Permissions::all()));
        ANYONE.clone()
    }

    /// The name within its method and issuer: a token's `sub`, the name of a static token, a name of a certificate, or
    /// a user's number. It may hold any character, so escape it where it is printed.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The issuer's name in the configuration (`NAME` of `[auth.issuers.NAME]`).
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.0.issuer.as_ref().map(|issuer| issuer.name.as_str())
    }

    /// The issuer's URL, to the letter of the claim `iss`. It stays the same when the configuration gives the issuer another
    /// name.
    #[must_use]
    pub fn issuer_url(&self) -> Option<&str> {
        self.0.issuer.as_ref().map(|issuer| issuer.url.as_str())
    }

    /// The e-mail address, when the issuer gives one and does not call it unverified.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.0.email.as_deref()
    }

    /// How the caller proved it.
    #[must_use]
    pub fn method(&self) -> Method {
        self.0.method
    }

    /// The caller's roles.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        &self.0.permissions
    }

    /// Whether the caller may do `action` in `namespace`.
    ///
    /// # Errors
    /// When the caller does not have a role that allows it: answer 403.
    pub fn allows(&self, action: Action, namespace: &Namespace) -> Result<(), Denied> {
        let roles = self.0.permissions.roles(namespace);
        if roles.has_any(action.roles()) {
            return Ok(());
        }
        Err(Denied {
            action,
            namespace: namespace.clone(),
        })
    }
}

/// A caller as a key of maps, and as the owner of things. Subjects of different issuers are different callers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallerId {
    method: Method,
    /// Its URL.
    issuer: Option<String>,
    subject: String,
}

impl CallerId {
    /// `None` where the server authenticates nobody: everybody is one caller then.
    #[must_use]
    pub fn of(identity: &Identity) -> Option<Self> {
        (identity.method() != Method::Open).then(|| Self {
            method: identity.method(),
            issuer: identity.issuer_url().map(str::to_owned),
            subject: identity.subject().to_owned(),
        })
    }
}

/// The caller is known and may not do what it asks for: 403. The text is for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    action: Action,
    namespace: Namespace,
}

impl Denied {
    /// What was asked for.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// Where.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles: Vec<&str> = self.action.roles().iter().map(|role| role.name()).collect();
        let roles = match roles.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => return f.write_str("nobody may do this"),
        };
        write!(
            f,
            "you may not {} in this namespace: the role {roles} is missing. Ask an administrator of this server for it",
            self.action
        )
    }
}

impl std::error::Error for Denied {}

#[cfg(test)]
mod tests {
    use super::{
        super::{permissions::Permission, role::Role},
        *,
    };

    #[test]
    fn a_denial_names_the_missing_roles_and_the_remedy() {
        let permission = Permission::parse("a:worker").unwrap();
        let identity = Identity::new("x", Method::StaticToken, [permission].iter().collect());
        let (a, b) = (Namespace::new("a").unwrap(), Namespace::new("b").unwrap());
        assert_eq!(identity.allows(Action::ENCODE, &a), Ok(()));
        let denied = identity.allows(Action::DECODE, &a).unwrap_err();
        assert_eq!(
            denied.to_string(),
            "you may not decode in this namespace: the role read is missing. Ask an administrator of this server for it"
        );
        let denied = identity.allows(Action::ENCODE, &b).unwrap_err();
        assert!(denied.to_string().contains("write, worker or admin"));
        let manage = Action::new("manage tasks", &[Role::Admin]);
        assert!(identity.allows(manage, &a).is_err());
        assert_eq!(Identity::anyone().allows(manage, &b), Ok(()));
    }
}
