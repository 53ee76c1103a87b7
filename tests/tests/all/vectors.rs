//! Every vector of `codec/tests/vectors/envelope-v2.json`, presented to the codec as a whole payload.
#![allow(clippy::expect_used, reason = "a test")]

#[path = "../../../codec/tests/vectors/cases.rs"]
mod file;

use std::collections::BTreeMap;

use integration_tests::Keyring;
use prost::Message as _;
use temporal_kms_codec::{Dek, EncryptionContext, Error, Payload, PayloadError};

use self::file::{Case, cases};

impl Case {
    /// The namespace in the context; a codec opens nothing that names none.
    fn namespace(&self) -> Option<String> {
        let context: BTreeMap<String, String> = serde_json::from_str(&self.context).ok()?;
        context.get("namespace").cloned()
    }

    /// The vector as a payload whose data key is wrapped under the keyring's key.
    async fn payload(&self, keyring: &Keyring) -> Payload {
        let context = EncryptionContext::parse(self.context.as_bytes()).expect("a context");
        let dek = Dek::from_slice(&bytes(&self.dek)).expect("a data key");
        let key = keyring.keys().key("default").expect("the key");
        let wrapped = key.wrap(&dek, &context).await.expect("wrapped");
        let mut metadata = BTreeMap::from([
            ("encoding".to_owned(), b"binary/envelope-kms".to_vec()),
            ("envelope-version".to_owned(), b"2".to_vec()),
            ("kms-key".to_owned(), b"local://default".to_vec()),
            ("encrypted-dek".to_owned(), wrapped.as_bytes().to_vec()),
        ]);
        if !context.is_empty() {
            metadata.insert("encryption-context".to_owned(), context.as_bytes().to_vec());
        }
        Payload {
            metadata,
            data: bytes(&self.data),
            external_payloads: Vec::new(),
        }
    }

    /// What a codec of `namespace` makes of it.
    async fn decoded_for(&self, namespace: &str) -> Result<Payload, Error> {
        let keyring = Keyring::new();
        let mut decoded = keyring
            .codec(namespace)
            .decode(vec![self.payload(&keyring).await])
            .await?;
        Ok(decoded.pop().expect("as many payloads as were given"))
    }
}

#[tokio::test]
async fn every_vector_opens_or_is_refused_as_it_says() {
    let cases = cases();
    assert_eq!(cases.len(), 16);
    for case in cases {
        let namespace = case.namespace();
        let decoded = case
            .decoded_for(namespace.as_deref().unwrap_or("default"))
            .await;
        match decoded {
            Ok(payload) => {
                let plaintext = Payload::decode(bytes(&case.plaintext).as_slice());
                assert_eq!(payload, plaintext.expect("a payload"), "{}", case.name);
                assert_eq!(case.expect, "open", "{}", case.name);
            }
            Err(Error::Payload(error)) => {
                let expected = match error {
                    PayloadError::NotAuthentic => case.expect == "authentication",
                    PayloadError::Malformed(_) => case.expect == "malformed",
                    // Without a context a payload is of no namespace, so nobody's.
                    PayloadError::ForeignNamespace { .. } => namespace.is_none(),
                    _ => false,
                };
                assert!(
                    expected,
                    "{}: {error:?} instead of {}",
                    case.name, case.expect
                );
            }
            Err(error) => panic!("{}: {error:?}", case.name),
        }
    }
}

#[tokio::test]
async fn no_vector_opens_in_another_namespace() {
    for case in cases() {
        let error = case.decoded_for("elsewhere").await.expect_err(&case.name);
        let refused = matches!(
            error,
            Error::Payload(PayloadError::ForeignNamespace { .. } | PayloadError::Malformed(_))
        );
        assert!(refused, "{}: {error:?}", case.name);
    }
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    hex::decode(hexadecimal).expect("hexadecimal text")
}
