//! A caller of a server in AWS's place.

use temporal_kms_codec::kms::aws::{AwsCredentials, AwsOptions};
use zeroize::Zeroizing;

/// The region of everything that no test puts elsewhere.
pub const HOME: &str = "eu-west-1";

/// Everything at one address, called with AWS's example of an access key.
#[must_use]
pub fn options(url: &str) -> AwsOptions {
    AwsOptions::default()
        .with_region(HOME)
        .with_credentials(AwsCredentials::Key {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Zeroizing::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            session_token: None,
        })
        .with_endpoint(url)
        .with_sts_endpoint(url)
}
