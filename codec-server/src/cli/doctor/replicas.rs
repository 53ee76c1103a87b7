//! Replica regions that are configured for a key without replicas.

use temporal_kms_codec::{
    KeyUri, KmsKind,
    kms::{KeyDetails, KmsOptions},
};

use super::finding::{Check, Finding};

/// A warning when the configured regions cannot serve the key. AWS KMS marks multi-region keys by their id.
pub(super) fn finding(key: &KeyUri, details: &KeyDetails, options: &KmsOptions) -> Option<Finding> {
    let regions = regions(options);
    let has_replicas = details.uri.resource().contains(":key/mrk-");
    if key.kms() != KmsKind::AwsKms || regions.is_empty() || has_replicas {
        return None;
    }
    Some(Finding::warning(
        Check::Configuration,
        format!(
            "the replica regions {} have no effect: this key has one region only",
            regions.join(", ")
        ),
        "remove KMS_REPLICA_REGIONS or aws_replicas, or create a key with `codec-server keys create --multi-region` and \
         replicate it",
    ))
}

#[cfg(feature = "aws-kms")]
fn regions(options: &KmsOptions) -> Vec<&str> {
    let replicas = options.aws.replicas.iter();
    replicas.map(|replica| replica.region.as_str()).collect()
}

#[cfg(not(feature = "aws-kms"))]
fn regions(_: &KmsOptions) -> Vec<&str> {
    Vec::new()
}
