//! One text form for each public enum, in `as_str`, `Display` and JSON.

/// Implements `Display` and `Serialize` of an enum with its `as_str`.
macro_rules! text_form {
    ($name:ty) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(crate) use text_form;

#[cfg(test)]
mod tests {
    use crate::{
        FailureCause, KeyOrigin, KeyPurpose, KeyRole, KeyState, Operation, Protection,
        ProviderErrorKind, SignatureAlgorithm,
    };

    /// Programs read these names, so they must not change.
    #[test]
    fn every_name_is_the_same_in_display_and_json() {
        fn check<T: std::fmt::Display + serde::Serialize>(value: T, name: &str) {
            assert_eq!(value.to_string(), name);
            assert_eq!(serde_json::to_value(value).unwrap(), name);
        }
        check(KeyPurpose::Encrypt, "encrypt");
        check(KeyPurpose::SignP256, "sign-p256");
        check(KeyPurpose::SignEd25519, "sign-ed25519");
        check(KeyOrigin::Service, "service");
        check(KeyOrigin::Imported, "imported");
        check(KeyOrigin::CloudHsm, "cloudhsm");
        check(KeyOrigin::External, "external");
        check(KeyRole::Encrypter, "encrypter");
        check(KeyRole::Decrypter, "decrypter");
        check(KeyRole::Signer, "signer");
        check(KeyRole::Verifier, "verifier");
        check(KeyState::Enabled, "enabled");
        check(KeyState::Disabled, "disabled");
        check(KeyState::DestroyScheduled, "destroy-scheduled");
        check(KeyState::Destroyed, "destroyed");
        check(KeyState::Other, "other");
        check(Protection::File, "file");
        check(Protection::Software, "software");
        check(Protection::Hsm, "hsm");
        check(SignatureAlgorithm::EcdsaP256Sha256, "ECDSA_P256_SHA256");
        check(SignatureAlgorithm::Ed25519, "ED25519");
        check(ProviderErrorKind::KeyVersionGone, "key_version_gone");
        check(FailureCause::NoCredentials, "no_credentials");
        check(Operation::PublicKey, "public_key");
        for algorithm in [
            SignatureAlgorithm::EcdsaP256Sha256,
            SignatureAlgorithm::Ed25519,
        ] {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
            let json = serde_json::to_string(&algorithm).unwrap();
            assert_eq!(
                serde_json::from_str::<SignatureAlgorithm>(&json).unwrap(),
                algorithm
            );
        }
        assert!("RSA".parse::<SignatureAlgorithm>().is_err());
    }
}
