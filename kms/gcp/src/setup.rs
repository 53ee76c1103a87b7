//! What is known of a new key at Cloud KMS before it exists.

use std::time::Duration;

use temporal_kms::{KeyPurpose, KeySetup, KeySpec, KeyUri, RotationPolicy};

use super::{GcpKms, member, name::Parts, settings::PROVIDER_NAME};

impl KeySetup for GcpKms {
    fn default_rotation_period(&self, spec: &KeySpec) -> Option<Duration> {
        (spec.purpose == KeyPurpose::Encrypt).then(|| RotationPolicy::default().period)
    }

    fn deletion_window(&self) -> Result<&'static str, &'static str> {
        Err(
            "Cloud KMS takes the time from the key (destroyScheduledDuration), which is set when the key is created",
        )
    }

    fn created_with_keys(&self) -> Option<&'static str> {
        Some("its key ring")
    }

    fn member(&self, text: &str) -> Result<String, &'static str> {
        member::member(text)
    }

    fn replica_regions(&self, wanted: &[String]) -> Result<Vec<String>, &'static str> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        Err(
            "only AWS KMS has replicas; choose a multi-region location at Cloud KMS, such as --location eur4",
        )
    }

    fn variables_of(
        &self,
        key: &KeyUri,
        _own_name: Option<&KeyUri>,
        _replica_regions: &[String],
    ) -> Result<Vec<(&'static str, String)>, &'static str> {
        let wrong = "the key's name does not have the form of Cloud KMS";
        let parts = Parts::of(key).map_err(|_| wrong)?;
        let (project, location) = parts.project_and_location().ok_or(wrong)?;
        let variables = [
            ("KMS_KEY_RING", parts.ring_id),
            ("KMS_KEY_NAME", parts.key_id),
            ("KMS_LOCATION", location),
            ("PROJECT_ID", project),
            ("KMS_PROVIDER", PROVIDER_NAME),
        ];
        Ok(Vec::from(
            variables.map(|(name, value)| (name, value.to_owned())),
        ))
    }
}

#[cfg(test)]
mod tests {
    use temporal_kms::KeyService as _;

    use super::*;

    #[test]
    fn the_variables_of_a_key_name_the_key() {
        let key = "gcp-kms://projects/p/locations/eur4/keyRings/r/cryptoKeys/k";
        let key: KeyUri = key.parse().unwrap();
        let kms = GcpKms::default();
        let variables = kms.variables_of(&key, None, &[]).unwrap();
        let variable = |name: &str| {
            let mut found = variables.iter().filter(|(known, _)| *known == name);
            found.next().map(|(_, value)| value.clone())
        };
        assert_eq!(kms.named_key(&variable).unwrap(), Some(key));
    }
}
