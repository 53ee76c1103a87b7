//! The registry: the key services of this build.

use std::sync::Arc;

use super::KeyService;
use crate::Scheme;

type New = fn() -> Arc<dyn KeyService>;

/// One line for each service: its feature, its module here, and its type in its crate.
macro_rules! services {
    ($($(#[$feature:meta])? $module:ident = $krate:ident::$service:ident;)+) => {
        $($(#[$feature])? pub use $krate as $module;)+

        const SERVICES: &[New] = &[
            $($(#[$feature])? || Arc::new($krate::$service::default()),)+
        ];
    };
}

services! {
    local = temporal_kms_local::LocalKms;
    #[cfg(feature = "gcp-kms")] gcp = temporal_kms_gcp::GcpKms;
    #[cfg(feature = "aws-kms")] aws = temporal_kms_aws::AwsKms;
    #[cfg(feature = "pkcs11")] pkcs11 = temporal_kms_pkcs11::Pkcs11Kms;
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

/// What to do about a key whose service is not in `services`.
pub(super) fn remedy(scheme: Scheme, services: &[Arc<dyn KeyService>]) -> String {
    let names: Vec<_> = services
        .iter()
        .map(|service| service.scheme().to_string())
        .collect();
    let names = names.join(", ");
    // The features are called as the schemes are.
    let advice = if scheme.has_direct_mode() {
        format!("build it with the feature {scheme}")
    } else {
        "correct the key's name, or add the service in code".to_owned()
    };
    format!("this build has no provider for the service, but for {names}; {advice}")
}
