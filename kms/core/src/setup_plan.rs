//! A key with its permissions, before it exists: what a service writes commands of its own tools for.

use crate::{EncryptionContext, KeyRole, KeySpec, KeyUri};

/// A key that is to be set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SetupPlan {
    /// Its name.
    pub key: KeyUri,
    /// What it is like.
    pub spec: KeySpec,
    /// Who may do what with it.
    pub grants: Vec<PlannedGrant>,
    /// Further regions that are to have a replica.
    pub replica_regions: Vec<String>,
}

/// A permission that is to be given.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedGrant {
    /// The account, in the service's own form.
    pub member: String,
    /// What it may do.
    pub role: KeyRole,
    /// The pairs that a call's encryption context must hold.
    pub context: EncryptionContext,
}

impl SetupPlan {
    /// The key `key`, which nobody may use yet.
    #[must_use]
    pub fn new(key: KeyUri, spec: KeySpec) -> Self {
        Self {
            key,
            spec,
            grants: Vec::new(),
            replica_regions: Vec::new(),
        }
    }

    /// Adds a permission.
    #[must_use]
    pub fn with_grant(
        mut self,
        member: impl Into<String>,
        role: KeyRole,
        context: EncryptionContext,
    ) -> Self {
        self.grants.push(PlannedGrant {
            member: member.into(),
            role,
            context,
        });
        self
    }

    /// Sets further regions that are to have a replica.
    #[must_use]
    pub fn with_replica_regions(mut self, regions: Vec<String>) -> Self {
        self.replica_regions = regions;
        self
    }
}
