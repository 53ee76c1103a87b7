//! What the default methods of [`KeyAdmin`] answer.

use std::collections::BTreeMap;

use super::*;
use crate::Protection;

/// A service that does what every service does.
#[derive(Debug)]
struct Plain;

#[async_trait]
impl KeyAdmin for Plain {
    async fn create(&self, uri: &KeyUri, _: &KeySpec) -> Result<KeyDetails, ProviderError> {
        self.details(uri).await
    }

    async fn details(&self, uri: &KeyUri) -> Result<KeyDetails, ProviderError> {
        let protection = Protection::Software;
        Ok(KeyDetails::new(
            uri.clone(),
            KeyPurpose::Encrypt,
            protection,
        ))
    }

    async fn versions(&self, _: &KeyUri) -> Result<Vec<KeyVersion>, ProviderError> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn what_a_service_does_not_do_is_told_with_what_to_do() {
    let (uri, role): (KeyUri, _) = ("vault://k".parse().unwrap(), KeyRole::Encrypter);
    let pairs = BTreeMap::from([("namespace".to_owned(), "a".to_owned())]);
    let context = EncryptionContext::new(pairs).unwrap();
    let errors = [
        Plain.list(&uri).await.err(),
        Plain.rotate(&uri).await.err(),
        Plain.set_primary(&uri, "1").await.err(),
        Plain.set_rotation(&uri, None).await.err(),
        Plain.disable(&uri, None).await.err(),
        Plain.enable(&uri, None).await.err(),
        Plain.destroy(&uri, None).await.err(),
        Plain.replicate(&uri, "eu").await.err(),
        Plain.grant(&uri, "me", role).await.err(),
        Plain
            .grant_for_context(&uri, "me", role, &context)
            .await
            .err(),
        Plain.revoke(&uri, "me", role).await.err(),
        Plain
            .revoke_for_context(&uri, "me", role, &context)
            .await
            .err(),
        Plain.grants(&uri).await.err(),
    ];
    for error in errors {
        let error = error.unwrap();
        assert_eq!(error.kind(), ProviderErrorKind::Unsupported);
        assert_eq!(error.to_string().matches("; ").count(), 1, "{error}");
    }
}
