//! Creates keys that never leave the token.

use cryptoki::{mechanism::Mechanism, object::Attribute};

use super::{error::Failure, object::P256, pool::Connection};
use temporal_kms::{KeyPurpose, KeySpec, ProviderErrorKind as Kind, support::Pkcs11Path};

const AES_256_LEN: u64 = 32;

/// Whether the token can create such a key.
pub(super) fn check_spec(connection: &Connection, spec: &KeySpec) -> Result<(), Failure> {
    let unsupported = |reason: &'static str| Failure::new(Kind::Unsupported, reason);
    if let Some(reason) = spec.unsupported_by_plain_keys() {
        return Err(unsupported(reason));
    }
    if spec
        .protection
        .is_some_and(|wanted| wanted != connection.protection)
    {
        return Err(unsupported("the token protects its keys in another way")
            .with_remedy("leave --protection out"));
    }
    match spec.purpose {
        KeyPurpose::Encrypt | KeyPurpose::SignP256 => Ok(()),
        _ => Err(unsupported("the keys of tokens sign with ECDSA on P-256")
            .with_remedy("create one with --purpose sign-p256")),
    }
}

/// The label of a new version.
pub(super) fn label(path: &Pkcs11Path) -> Result<&str, Failure> {
    path.object.as_deref().ok_or_else(|| {
        Failure::misconfigured("the URI has no label of a key", "add object=LABEL to it")
    })
}

/// Creates one version of a key.
pub(super) fn key(
    connection: &Connection,
    purpose: KeyPurpose,
    label: &str,
    id: &[u8],
) -> Result<(), Failure> {
    let session = &connection.session;
    let mut secret = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Label(label.into()),
        Attribute::Id(id.to_vec()),
    ];
    if purpose == KeyPurpose::Encrypt {
        // Never both: a caller who may wrap other keys and decrypt can take these keys out of the token.
        let gcm = connection.mechanisms.gcm;
        secret.extend([
            Attribute::ValueLen(AES_256_LEN.into()),
            Attribute::Encrypt(gcm),
            Attribute::Decrypt(gcm),
            Attribute::Wrap(!gcm),
            Attribute::Unwrap(!gcm),
        ]);
        session.generate_key(&Mechanism::AesKeyGen, &secret)?;
    } else {
        secret.push(Attribute::Sign(true));
        let public = [
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::EcParams(P256.to_vec()),
            Attribute::Label(label.into()),
            Attribute::Id(id.to_vec()),
        ];
        session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &secret)?;
    }
    Ok(())
}
