//! The name of a key at Cloud KMS.

use temporal_kms::{KeyUri, ProviderError, ProviderErrorKind as Kind};

/// A key's name in parts.
pub(super) struct Parts<'a> {
    pub(super) location: &'a str,
    pub(super) ring: &'a str,
    pub(super) ring_id: &'a str,
    pub(super) key_id: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn of(uri: &'a KeyUri) -> Result<Self, ProviderError> {
        let split = || {
            let (ring, key_id) = uri.resource().split_once("/cryptoKeys/")?;
            let (location, ring_id) = ring.split_once("/keyRings/")?;
            Some(Self {
                location,
                ring,
                ring_id,
                key_id,
            })
        };
        split().ok_or_else(|| malformed(uri))
    }

    /// The project and the location of the key ring.
    pub(super) fn project_and_location(&self) -> Option<(&'a str, &'a str)> {
        let place = self.location.strip_prefix("projects/")?;
        place.split_once("/locations/")
    }
}

/// The error for a name that does not have the form of Cloud KMS.
pub(super) fn malformed(uri: &KeyUri) -> ProviderError {
    ProviderError::new(Kind::Misconfigured, uri)
        .with_detail("its name does not have the form of Cloud KMS")
        .with_remedy("name it projects/P/locations/L/keyRings/R/cryptoKeys/K")
}
