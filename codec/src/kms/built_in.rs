//! The registry: the key services of this build.

use std::sync::Arc;

use super::KeyService;
use crate::Scheme;

type New = fn() -> Arc<dyn KeyService>;

/// One line for each service: its module here, its type in its crate, and the feature of this crate that it needs.
macro_rules! services {
    ($($module:ident = $krate:ident::$service:ident $(if $feature:tt)?;)+) => {
        $($(#[cfg(feature = $feature)])? pub use $krate as $module;)+

        const SERVICES: &[New] = &[
            $($(#[cfg(feature = $feature)])? || Arc::new($krate::$service::default()),)+
        ];

        /// The features of all services, also of those that this build does not have.
        const FEATURES: &[&str] = &[$($($feature,)?)+];
    };
}

services! {
    local = temporal_kms_local::LocalKms if "local";
    gcp = temporal_kms_gcp::GcpKms if "gcp-kms";
    aws = temporal_kms_aws::AwsKms if "aws-kms";
    pkcs11 = temporal_kms_pkcs11::Pkcs11Kms if "pkcs11";
}

/// The services with their default settings.
pub(super) fn services() -> Vec<Arc<dyn KeyService>> {
    SERVICES.iter().map(|new| new()).collect()
}

/// The version of the key that sealed `ciphertext`, where this build has its service and the bytes tell it.
pub(crate) fn version_in(scheme: Scheme, ciphertext: &[u8]) -> Option<String> {
    let mut services = SERVICES.iter().map(|new| new());
    let service = services.find(|service| service.scheme() == scheme)?;
    service.version_in(ciphertext)
}

/// Whether a build with the right feature has the service. Features are called as the schemes are.
pub(super) fn has_feature(scheme: Scheme) -> bool {
    FEATURES.contains(&scheme.as_str())
}

/// What is wrong with a key whose service is not in `services`, and what to do.
pub(super) fn missing(scheme: Scheme, services: &[Arc<dyn KeyService>]) -> (String, String) {
    let names: Vec<_> = services
        .iter()
        .map(|service| service.scheme().to_string())
        .collect();
    let happened = match names.as_slice() {
        [] => "this build has no key service".to_owned(),
        names => format!(
            "this build has no provider for the service, but for {}",
            names.join(", ")
        ),
    };
    let remedy = if has_feature(scheme) {
        format!("build it with the feature {scheme}")
    } else {
        "correct the key's name, or add the service in code".to_owned()
    };
    (happened, remedy)
}
