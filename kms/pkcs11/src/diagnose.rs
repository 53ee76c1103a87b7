//! What PKCS#11 tokens can tell a person who looks for a fault.

use async_trait::async_trait;
use temporal_kms::{
    Advice, CredentialsFound, Diagnose, Endpoint, KeyUri, Operation, ProviderError,
    ProviderErrorKind as Kind, Web,
};

use super::{
    PinSource, Pkcs11Kms,
    token::{NO_SUCH_TOKEN, TOKEN_REMEDY},
};

#[async_trait]
impl Diagnose for Pkcs11Kms {
    async fn credentials(&self, key: &KeyUri, _web: &dyn Web) -> CredentialsFound {
        CredentialsFound::new(match self.options().access(key).pin {
            Some(PinSource::File(path)) => format!("the PIN in {}", path.display()),
            Some(PinSource::Variable(name)) => format!("the PIN in the variable {name}"),
            None => "no PIN: the token is used without a login".to_owned(),
        })
    }

    fn credentials_remedy(
        &self,
        _key: &KeyUri,
        is_refused: bool,
        _found: &CredentialsFound,
    ) -> String {
        if is_refused {
            "put the right PIN of the token's user into PKCS11_PIN_FILE; do not try many, tokens lock themselves"
        } else {
            "set PKCS11_PIN_FILE to a file with the PIN of the token's user that only this user can read (chmod 600)"
        }
        .to_owned()
    }

    fn permission_remedy(
        &self,
        _key: &KeyUri,
        operation: Operation,
        _found: &CredentialsFound,
    ) -> String {
        let attribute = match operation {
            Operation::Wrap | Operation::Encrypt => "CKA_ENCRYPT or CKA_WRAP",
            Operation::Sign => "CKA_SIGN",
            Operation::PublicKey | Operation::Verify => {
                return "import the public key beside the private one with the token's own tool, with the same CKA_ID and label"
                    .to_owned();
            }
            _ => "CKA_DECRYPT or CKA_UNWRAP",
        };
        format!(
            "give the key object {attribute} with the token's own tool, and log in with the PIN of its user"
        )
    }

    fn endpoint(&self, _key: &KeyUri) -> Endpoint {
        Endpoint::NotWeb {
            reason: "does not apply to a PKCS#11 token: nothing it does depends on the time",
            answers: Some("the PKCS#11 module is loaded and its token answers"),
        }
    }

    /// Without its token, a key can be neither found nor created.
    fn explain(&self, _key: &KeyUri, error: &ProviderError) -> Option<Advice> {
        let summary = error.summary();
        summary
            .contains(NO_SUCH_TOKEN)
            .then(|| Advice::new(NO_SUCH_TOKEN, TOKEN_REMEDY))
    }

    fn unavailable_remedy(&self, error: &ProviderError) -> &'static str {
        match error.kind() {
            Kind::Misconfigured => {
                "set PKCS11_MODULE, or pkcs11_module in [keys], to the absolute path of the vendor's PKCS#11 library"
            }
            _ => {
                "check that the token is there and initialized, with `pkcs11-tool --list-slots` or the vendor's tool"
            }
        }
    }

    fn short_name<'k>(&self, key: &'k KeyUri) -> &'k str {
        let resource = key.resource();
        let mut parts = resource.split(';');
        let object = parts.find_map(|part| part.strip_prefix("object="));
        object.unwrap_or(resource)
    }

    fn hsm(&self) -> &'static str {
        "in the token"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_token_is_told_from_a_missing_key() {
        let key: KeyUri = "pkcs11:token=t;object=payloads".parse().unwrap();
        let kms = Pkcs11Kms::default();
        let missing = ProviderError::new(Kind::KeyNotFound, &key);
        assert_eq!(kms.explain(&key, &missing), None);
        let advice = kms.explain(&key, &missing.with_detail(NO_SUCH_TOKEN));
        let advice = advice.unwrap();
        assert_eq!(advice.summary, NO_SUCH_TOKEN);
        assert!(advice.remedy.contains("initialize the token"));
    }

    #[test]
    fn a_key_is_told_from_others_by_its_object() {
        let key: KeyUri = "pkcs11:token=t;object=payloads".parse().unwrap();
        assert_eq!(Pkcs11Kms::default().short_name(&key), "payloads");
        let key: KeyUri = "pkcs11:token=t;id=%01".parse().unwrap();
        assert_eq!(Pkcs11Kms::default().short_name(&key), "token=t;id=%01");
    }
}
