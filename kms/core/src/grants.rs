//! Who may use a key.

use crate::{EncryptionContext, text_form::text_form};

/// What a member may do with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyRole {
    /// Wrap data keys: for programs that start workflows.
    Encrypter,
    /// Unwrap them: for workers and codec servers that show plaintext.
    Decrypter,
    /// Sign.
    Signer,
    /// Fetch public keys.
    Verifier,
}

impl KeyRole {
    /// The name in output and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Encrypter => "encrypter",
            Self::Decrypter => "decrypter",
            Self::Signer => "signer",
            Self::Verifier => "verifier",
        }
    }
}

text_form!(KeyRole);

/// Who may use a key, as far as its service says it in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyGrants {
    /// The permissions, in the service's order.
    pub grants: Vec<KeyGrant>,
    /// Where further permissions may be that this list does not have.
    pub not_listed: &'static str,
}

impl KeyGrants {
    /// These permissions, and where there may be more.
    #[must_use]
    pub fn new(grants: Vec<KeyGrant>, not_listed: &'static str) -> Self {
        Self { grants, not_listed }
    }
}

/// What one account may do with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyGrant {
    /// The account, in the service's own form.
    pub member: String,
    /// The role that this permits. `None` for everything that is not one of these roles.
    pub role: Option<KeyRole>,
    /// What is permitted, in the service's own names: a role, or operations.
    pub permits: String,
    /// The pairs that a call's encryption context must hold.
    pub context: EncryptionContext,
    /// A condition of the service's own that limits the permission.
    pub condition: Option<String>,
    /// Where the service keeps it, such as `grant` or `key policy`.
    pub source: &'static str,
}

impl KeyGrant {
    /// A permission without conditions that is kept in `source`.
    #[must_use]
    pub fn new(
        member: impl Into<String>,
        permits: impl Into<String>,
        source: &'static str,
    ) -> Self {
        Self {
            member: member.into(),
            role: None,
            permits: permits.into(),
            context: EncryptionContext::empty(),
            condition: None,
            source,
        }
    }

    /// Sets the role that this permits.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<Option<KeyRole>>) -> Self {
        self.role = role.into();
        self
    }

    /// Sets the pairs that a call's encryption context must hold.
    #[must_use]
    pub fn with_context(mut self, context: EncryptionContext) -> Self {
        self.context = context;
        self
    }

    /// Sets a condition of the service's own.
    #[must_use]
    pub fn with_condition(mut self, condition: impl Into<Option<String>>) -> Self {
        self.condition = condition.into();
        self
    }
}
