//! Signing with a P-256 key of a token.

use std::sync::Arc;

use async_trait::async_trait;
use cryptoki::{
    mechanism::Mechanism,
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use sha2::{Digest as _, Sha256};

use super::{
    error::Failure,
    object::{self, KeyObject, ObjectName},
    token::Token,
};
use temporal_kms::{
    KeyPurpose, KeyUri, ProviderError, ProviderErrorKind as Kind, PublicKey, Signature,
    SignatureAlgorithm, Signer,
};

/// A P-256 key of a token.
#[derive(Debug)]
pub(super) struct Pkcs11SigningKey {
    uri: KeyUri,
    name: ObjectName,
    token: Arc<Token>,
}

impl Pkcs11SigningKey {
    pub(super) fn new(uri: KeyUri, name: ObjectName, token: Arc<Token>) -> Self {
        Self { uri, name, token }
    }
}

#[async_trait]
impl Signer for Pkcs11SigningKey {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    async fn sign(&self, data: &[u8]) -> Result<Signature, ProviderError> {
        let digest = Sha256::digest(data);
        let name = self.name.clone();
        let signed = self.token.run(move |_, connection| {
            let session = &connection.session;
            let key = name.newest(session, KeyPurpose::SignP256)?;
            let signature = session.sign(&Mechanism::Ecdsa, key.handle, &digest)?;
            // r ‖ s, as PKCS#11 defines it.
            let signature = p256::ecdsa::Signature::from_slice(&signature).map_err(|_| {
                Failure::new(
                    Kind::Integrity,
                    "the token's answer is not a P-256 signature",
                )
            })?;
            Ok((hex::encode(&key.id), signature.to_der().as_bytes().to_vec()))
        });
        let (version, bytes) = signed.await.map_err(|failure| failure.for_key(&self.uri))?;
        Ok(
            Signature::new(self.uri.clone(), SignatureAlgorithm::EcdsaP256Sha256, bytes)
                .with_version(Some(version)),
        )
    }

    async fn public_key(&self, version: Option<&str>) -> Result<PublicKey, ProviderError> {
        let name = self.name.clone();
        let id = version
            .map(hex::decode)
            .transpose()
            .map_err(|_| Failure::missing_version().for_key(&self.uri))?;
        let fetched = self.token.run(move |_, connection| {
            let session = &connection.session;
            let key = match &id {
                None => name.newest(session, KeyPurpose::SignP256)?,
                Some(id) => name
                    .versions(session, KeyPurpose::SignP256, id)?
                    .into_iter()
                    .next()
                    .ok_or_else(|| missing_version(&name, session))?,
            };
            if !key.usage.starts(KeyPurpose::SignP256) {
                return Err(Failure::new(Kind::KeyDisabled, "the version may not sign"));
            }
            public_key(session, &key)
        });
        fetched.await.map_err(|failure| failure.for_key(&self.uri))
    }
}

/// The error for a version that the token does not show: the whole key may be missing.
fn missing_version(name: &ObjectName, session: &Session) -> Failure {
    match name.newest(session, KeyPurpose::SignP256) {
        Err(error) if error.kind() == Kind::KeyNotFound => error,
        _ => Failure::missing_version(),
    }
}

/// The objects that hold the public half of `key`.
pub(super) fn public_objects(
    session: &Session,
    key: &KeyObject,
) -> Result<Vec<ObjectHandle>, Failure> {
    let template = [
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(KeyType::EC),
        Attribute::Token(true),
        Attribute::Id(key.id.clone()),
        Attribute::Label(key.label.clone()),
    ];
    object::handles(session, &template)
}

fn public_key(session: &Session, key: &KeyObject) -> Result<PublicKey, Failure> {
    // Some tokens keep the point on the private key, most on a separate object.
    let mut handles = vec![key.handle];
    handles.extend(public_objects(session, key)?);
    let wanted = [AttributeType::EcPoint, AttributeType::PublicKeyInfo];
    for handle in handles {
        for attribute in session.get_attributes(handle, &wanted)? {
            let public = match attribute {
                Attribute::EcPoint(point) => PublicKey::from_p256_point(sec1(&point)),
                Attribute::PublicKeyInfo(der) => PublicKey::from_der(&der),
                _ => continue,
            };
            if let Ok(public) = public {
                return Ok(public);
            }
        }
    }
    Err(Failure::misconfigured(
        "the token shows no public key with the key's CKA_ID and label",
        "import it beside the private one",
    ))
}

/// The point should be a DER `OCTET STRING`. Some tokens give the point alone.
fn sec1(point: &[u8]) -> &[u8] {
    match point {
        [4, len, sec1 @ ..] if usize::from(*len) == sec1.len() => sec1,
        _ => point,
    }
}
