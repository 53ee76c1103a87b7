//! What a service knows about keys before they exist: the [`KeySetup`] trait. `codec-server keys` asks it.

use std::time::Duration;

use crate::{KeySpec, KeyUri};

/// What a service knows about keys that are to be created, and about the accounts that are to use them. Nothing here calls
/// the service. Every method has a default, for services whose keys are in one place and have no accounts.
///
/// Errors are texts for a person, who chose something that the service does not have.
pub trait KeySetup: Send + Sync {
    /// What is requested, with what the service's settings say of all new keys.
    fn complete(&self, spec: KeySpec) -> KeySpec {
        spec
    }

    /// How often such a key rotates by itself, where its creator says nothing. `None` where the service does not rotate it.
    fn default_rotation_period(&self, spec: &KeySpec) -> Option<Duration> {
        let _ = spec;
        None
    }

    /// The variables that are set and ask for new keys of a kind that only this service has. Keys of other services cannot
    /// be created while they are set, because they would be of another kind than their creator wants.
    fn demands(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// The name of the [setting](crate::KeyService::with_setting) that says how many days a destruction can be undone.
    ///
    /// # Errors
    /// Why it is not a setting.
    fn deletion_window(&self) -> Result<&'static str, &'static str> {
        Err("its versions are destroyed at once")
    }

    /// What the service creates together with a key when it is missing, such as `its key ring`.
    fn created_with_keys(&self) -> Option<&'static str> {
        None
    }

    /// An account in the form that [`KeyAdmin::grant`](crate::KeyAdmin::grant) accepts. Short forms are completed.
    ///
    /// # Errors
    /// When accounts of the service do not have this form.
    fn member(&self, text: &str) -> Result<String, &'static str> {
        // A service without accounts says so when a permission is given.
        Ok(text.to_owned())
    }

    /// Whether a permission can be limited to calls with some pairs in their encryption context, as
    /// [`KeyAdmin::grant_for_context`](crate::KeyAdmin::grant_for_context) does.
    fn limits_permissions_to_context(&self) -> bool {
        false
    }

    /// The regions that are to have a replica of a new key: `wanted`, or those of the settings if that is empty. The key's own
    /// region is not among them.
    ///
    /// # Errors
    /// When the service has no replicas, and some are wanted.
    fn replica_regions(&self, wanted: &[String]) -> Result<Vec<String>, &'static str> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        Err("its keys are in one place")
    }

    /// Whether `key` is in `region`.
    fn is_in_region(&self, key: &KeyUri, region: &str) -> bool {
        let _ = (key, region);
        false
    }

    /// The variables with which programs find a key that was set up, with their values. `own_name` is the name that the
    /// service gave it, once it exists.
    ///
    /// # Errors
    /// The setting that is missing.
    fn variables_of(
        &self,
        key: &KeyUri,
        own_name: Option<&KeyUri>,
        replica_regions: &[String],
    ) -> Result<Vec<(&'static str, String)>, &'static str> {
        let _ = (own_name, replica_regions);
        Ok(vec![("TEMPORAL_CODEC_KEY", key.to_string())])
    }
}

/// A service whose keys are created with what is requested, and nothing else.
pub(crate) struct PlainKeys;

impl KeySetup for PlainKeys {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_says_nothing_has_keys_in_one_place_that_programs_find_by_their_uri() {
        let key: KeyUri = "vault://k".parse().unwrap();
        let named = PlainKeys.variables_of(&key, None, &[]).unwrap();
        assert_eq!(named, [("TEMPORAL_CODEC_KEY", "vault://k".to_owned())]);
        assert_eq!(PlainKeys.replica_regions(&[]), Ok(Vec::new()));
        assert!(PlainKeys.replica_regions(&["here".to_owned()]).is_err());
        assert!(PlainKeys.deletion_window().is_err());
        let spec = KeySpec::default().with_key_store("s".to_owned());
        assert_eq!(PlainKeys.complete(spec.clone()), spec);
    }
}
