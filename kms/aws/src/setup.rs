//! What is known of a new key at AWS KMS before it exists.

use std::{collections::BTreeSet, time::Duration};

use temporal_kms::{KeyPurpose, KeySetup, KeySpec, KeyUri, RotationPolicy};

use super::{
    AwsKms, member,
    name::Arn,
    settings::DELETION_WINDOW,
    variables::{ALIAS, PROVIDER, PROVIDER_NAME},
};

impl KeySetup for AwsKms {
    fn complete(&self, spec: KeySpec) -> KeySpec {
        let options = self.options();
        let multi_region = spec.multi_region || options.multi_region;
        let store = spec.key_store.clone();
        spec.with_multi_region(multi_region)
            .with_key_store(store.or_else(|| options.custom_key_store.clone()))
    }

    /// Keys in a store of the customer do not rotate.
    fn default_rotation_period(&self, spec: &KeySpec) -> Option<Duration> {
        let rotates = spec.purpose == KeyPurpose::Encrypt && spec.key_store.is_none();
        rotates.then(|| RotationPolicy::default().period)
    }

    fn demands(&self) -> Vec<&'static str> {
        let options = self.options();
        let all = [
            ("KMS_ENABLE_CLOUDHSM", options.custom_key_store.is_some()),
            ("KMS_ENABLE_MULTI_REGION", options.multi_region),
        ];
        let set = all.into_iter().filter(|(_, is_set)| *is_set);
        set.map(|(name, _)| name).collect()
    }

    fn deletion_window(&self) -> Result<&'static str, &'static str> {
        Ok(DELETION_WINDOW)
    }

    fn member(&self, text: &str) -> Result<String, &'static str> {
        member::member(text, self.options().region.as_deref())
    }

    fn limits_permissions_to_context(&self) -> bool {
        true
    }

    fn replica_regions(&self, wanted: &[String]) -> Result<Vec<String>, &'static str> {
        let options = self.options();
        let mut regions = wanted.to_vec();
        if regions.is_empty() {
            let configured = options.replicas.iter();
            regions = configured.map(|replica| replica.region.clone()).collect();
        }
        // The key's own region has the key itself.
        let mut known = BTreeSet::from([options.region.clone().unwrap_or_default()]);
        regions.retain(|region| known.insert(region.clone()));
        Ok(regions)
    }

    fn is_in_region(&self, key: &KeyUri, region: &str) -> bool {
        Arn::parse(key.resource()).is_some_and(|arn| arn.region() == region)
    }

    /// A key with replicas is named by its ARN: programs then know from the start that it has replicas.
    fn variables_of(
        &self,
        key: &KeyUri,
        own_name: Option<&KeyUri>,
        replica_regions: &[String],
    ) -> Result<Vec<(&'static str, String)>, &'static str> {
        let region = self.options().region.clone();
        let region = region.ok_or("name the region with --aws-region REGION or AWS_REGION")?;
        let own_name = own_name.filter(|_| !replica_regions.is_empty());
        let mut variables = vec![
            (PROVIDER, PROVIDER_NAME.to_owned()),
            ("AWS_REGION", region),
            (ALIAS, own_name.unwrap_or(key).resource().to_owned()),
        ];
        if !replica_regions.is_empty() {
            variables.push(("KMS_REPLICA_REGIONS", replica_regions.join(",")));
        }
        Ok(variables)
    }
}

#[cfg(test)]
mod tests {
    use temporal_kms::{KeyService as _, SettingValue};

    use super::*;
    use crate::{AwsOptions, AwsReplica};

    fn kms(change: impl FnOnce(AwsOptions) -> AwsOptions) -> AwsKms {
        AwsKms::new(change(AwsOptions::default().with_region("eu-west-1")))
    }

    #[test]
    fn the_settings_say_what_new_keys_are_like() {
        let plain = kms(|options| options);
        assert!(plain.demands().is_empty());
        let spec = plain.complete(KeySpec::default());
        assert!(plain.default_rotation_period(&spec).is_some());
        let stored = kms(|options| {
            options
                .with_custom_key_store("cks-1")
                .with_multi_region(true)
        });
        assert_eq!(stored.demands().len(), 2);
        let spec = stored.complete(KeySpec::default());
        assert!(spec.multi_region && stored.default_rotation_period(&spec).is_none());
        let named = KeySpec::default().with_key_store("cks-2".to_owned());
        assert_eq!(stored.complete(named).key_store.as_deref(), Some("cks-2"));
    }

    #[test]
    fn the_own_region_has_no_replica() {
        let regions = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let wanted: Vec<String> = regions(&["us-west-2", "eu-west-1", "us-west-2"]);
        let kms = kms(|options| options.with_replicas([AwsReplica::new("us-east-1")]));
        assert_eq!(kms.replica_regions(&wanted), Ok(regions(&["us-west-2"])));
        assert_eq!(kms.replica_regions(&[]), Ok(regions(&["us-east-1"])));
    }

    #[test]
    fn a_key_with_replicas_is_named_by_its_arn() {
        let alias: KeyUri = "aws-kms://alias/k".parse().unwrap();
        let arn = "aws-kms://arn:aws:kms:eu-west-1:111122223333:key/mrk-1";
        let arn: KeyUri = arn.parse().unwrap();
        let kms = kms(|options| options);
        let name = |replicas: &[String]| {
            let variables = kms.variables_of(&alias, Some(&arn), replicas).unwrap();
            let mut found = variables.into_iter().filter(|(name, _)| *name == ALIAS);
            found.next().unwrap().1
        };
        assert_eq!(name(&[]), "alias/k");
        assert_eq!(name(&["us-west-2".to_owned()]), arn.resource());
        assert!(kms.is_in_region(&arn, "eu-west-1") && !kms.is_in_region(&arn, "us-west-2"));
        assert!(AwsKms::default().variables_of(&alias, None, &[]).is_err());
    }

    #[test]
    fn the_deletion_window_is_a_setting() {
        let kms = AwsKms::default();
        let name = kms.deletion_window().unwrap();
        let changed = kms.with_setting(name, SettingValue::Count(7)).unwrap();
        let changed: &dyn std::any::Any = &*changed;
        let options = changed.downcast_ref::<AwsKms>().unwrap().options();
        assert_eq!(options.deletion_window_days, Some(7));
    }
}
