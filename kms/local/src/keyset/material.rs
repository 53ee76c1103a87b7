//! The key types of Tink that a keyset may hold, and their protocol buffer messages.

use ed25519_dalek::SigningKey as Ed25519Key;
use p256::ecdsa::{SigningKey as P256Key, VerifyingKey};
use prost::Message;
use zeroize::{Zeroize as _, Zeroizing};

use super::{KeysetError, system_random};
use temporal_kms::{KeyPurpose, support::aead::KEY_LEN};

const AES_GCM: &str = "type.googleapis.com/google.crypto.tink.AesGcmKey";
const ECDSA: &str = "type.googleapis.com/google.crypto.tink.EcdsaPrivateKey";
const ED25519: &str = "type.googleapis.com/google.crypto.tink.Ed25519PrivateKey";

const SHA256: i32 = 3;
const NIST_P256: i32 = 2;
const DER: i32 = 2;

/// The first byte of an uncompressed point (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Secret key material. Every variant erases it when dropped.
pub(super) enum Material {
    Aes256Gcm(Zeroizing<[u8; KEY_LEN]>),
    EcdsaP256(Box<P256Key>),
    Ed25519(Box<Ed25519Key>),
}

/// A key in Tink's serialization.
pub(super) struct Serialized {
    pub(super) type_url: &'static str,
    pub(super) material_type: &'static str,
    pub(super) value: Zeroizing<Vec<u8>>,
}

impl Material {
    pub(super) fn generate(purpose: KeyPurpose) -> Result<Self, KeysetError> {
        let mut secret = Zeroizing::new([0; KEY_LEN]);
        loop {
            system_random(&mut *secret)?;
            match purpose {
                KeyPurpose::Encrypt => return Ok(Self::Aes256Gcm(secret)),
                KeyPurpose::SignEd25519 => {
                    return Ok(Self::Ed25519(Box::new(Ed25519Key::from_bytes(&secret))));
                }
                // One in 2^32 is not a scalar of the curve.
                KeyPurpose::SignP256 => {
                    if let Ok(key) = P256Key::from_slice(&*secret) {
                        return Ok(Self::EcdsaP256(Box::new(key)));
                    }
                }
                _ => return Err(KeysetError::UnknownPurpose),
            }
        }
    }

    pub(super) const fn purpose(&self) -> KeyPurpose {
        match self {
            Self::Aes256Gcm(_) => KeyPurpose::Encrypt,
            Self::EcdsaP256(_) => KeyPurpose::SignP256,
            Self::Ed25519(_) => KeyPurpose::SignEd25519,
        }
    }

    /// Reads a key of a supported type. The error says why another key is refused.
    pub(super) fn parse(type_url: &str, value: &[u8]) -> Result<Self, &'static str> {
        match type_url {
            AES_GCM => parse_aes_gcm(value),
            ECDSA => parse_ecdsa(value),
            ED25519 => parse_ed25519(value),
            _ => Err("only AesGcmKey, EcdsaPrivateKey and Ed25519PrivateKey are supported"),
        }
    }

    pub(super) fn serialize(&self) -> Serialized {
        match self {
            Self::Aes256Gcm(key) => {
                let mut message = AesGcmKey {
                    version: 0,
                    key_value: key.to_vec(),
                };
                let value = Zeroizing::new(message.encode_to_vec());
                message.key_value.zeroize();
                Serialized {
                    type_url: AES_GCM,
                    material_type: "SYMMETRIC",
                    value,
                }
            }
            Self::EcdsaP256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let mut message = EcdsaPrivateKey {
                    version: 0,
                    public_key: Some(EcdsaPublicKey {
                        version: 0,
                        params: Some(EcdsaParams {
                            hash_type: SHA256,
                            curve: NIST_P256,
                            encoding: DER,
                        }),
                        x: point.x().map(|x| x.to_vec()).unwrap_or_default(),
                        y: point.y().map(|y| y.to_vec()).unwrap_or_default(),
                    }),
                    key_value: key.to_bytes().to_vec(),
                };
                let value = Zeroizing::new(message.encode_to_vec());
                message.key_value.zeroize();
                Serialized {
                    type_url: ECDSA,
                    material_type: "ASYMMETRIC_PRIVATE",
                    value,
                }
            }
            Self::Ed25519(key) => {
                let mut message = Ed25519PrivateKey {
                    version: 0,
                    key_value: key.to_bytes().to_vec(),
                    public_key: Some(Ed25519PublicKey {
                        version: 0,
                        key_value: key.verifying_key().to_bytes().to_vec(),
                    }),
                };
                let value = Zeroizing::new(message.encode_to_vec());
                message.key_value.zeroize();
                Serialized {
                    type_url: ED25519,
                    material_type: "ASYMMETRIC_PRIVATE",
                    value,
                }
            }
        }
    }
}

fn parse_aes_gcm(value: &[u8]) -> Result<Material, &'static str> {
    let message = AesGcmKey::decode(value).map_err(|_| "its value is not an AesGcmKey message")?;
    let secret = Zeroizing::new(message.key_value);
    check_versions(&[message.version])?;
    <[u8; KEY_LEN]>::try_from(secret.as_slice())
        .map(|key| Material::Aes256Gcm(Zeroizing::new(key)))
        .map_err(|_| "only keys of 256 bits are supported")
}

fn parse_ecdsa(value: &[u8]) -> Result<Material, &'static str> {
    let message = EcdsaPrivateKey::decode(value)
        .map_err(|_| "its value is not an EcdsaPrivateKey message")?;
    let secret = Zeroizing::new(message.key_value);
    let public = message.public_key.ok_or("it holds no public key")?;
    let params = public.params.ok_or("it holds no parameters")?;
    check_versions(&[message.version, public.version])?;
    let expected = EcdsaParams {
        hash_type: SHA256,
        curve: NIST_P256,
        encoding: DER,
    };
    if params != expected {
        return Err("only ECDSA on NIST_P256 with SHA256 and DER signatures is supported");
    }
    let key = P256Key::from_slice(&*scalar(&secret)?)
        .map_err(|_| "its private key is not a scalar of P-256")?;
    let point = [
        &[UNCOMPRESSED][..],
        &*scalar(&public.x)?,
        &*scalar(&public.y)?,
    ]
    .concat();
    if VerifyingKey::from_sec1_bytes(&point).ok().as_ref() != Some(key.verifying_key()) {
        return Err("its public key is not that of its private key");
    }
    Ok(Material::EcdsaP256(Box::new(key)))
}

fn parse_ed25519(value: &[u8]) -> Result<Material, &'static str> {
    let message = Ed25519PrivateKey::decode(value)
        .map_err(|_| "its value is not an Ed25519PrivateKey message")?;
    let secret = Zeroizing::new(message.key_value);
    let public = message.public_key.ok_or("it holds no public key")?;
    check_versions(&[message.version, public.version])?;
    let seed = <&[u8; KEY_LEN]>::try_from(secret.as_slice())
        .map_err(|_| "only keys of 256 bits are supported")?;
    let key = Ed25519Key::from_bytes(seed);
    if key.verifying_key().as_bytes().as_slice() != public.key_value {
        return Err("its public key is not that of its private key");
    }
    Ok(Material::Ed25519(Box::new(key)))
}

fn check_versions(versions: &[u32]) -> Result<(), &'static str> {
    if versions.iter().all(|&version| version == 0) {
        Ok(())
    } else {
        Err("its version is unknown")
    }
}

/// Tink's big-endian integers may have leading zeros.
fn scalar(bytes: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>, &'static str> {
    let mut scalar = Zeroizing::new([0; KEY_LEN]);
    let start = bytes.iter().take_while(|&&byte| byte == 0).count();
    let significant = bytes.get(start..).unwrap_or_default();
    KEY_LEN
        .checked_sub(significant.len())
        .and_then(|offset| scalar.get_mut(offset..))
        .ok_or("one of its numbers has more than 256 bits")?
        .copy_from_slice(significant);
    Ok(scalar)
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct AesGcmKey {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(bytes = "vec", tag = "3")]
    key_value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct EcdsaPrivateKey {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(message, optional, tag = "2")]
    public_key: Option<EcdsaPublicKey>,
    #[prost(bytes = "vec", tag = "3")]
    key_value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct EcdsaPublicKey {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(message, optional, tag = "2")]
    params: Option<EcdsaParams>,
    #[prost(bytes = "vec", tag = "3")]
    x: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    y: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct EcdsaParams {
    #[prost(int32, tag = "1")]
    hash_type: i32,
    #[prost(int32, tag = "2")]
    curve: i32,
    #[prost(int32, tag = "3")]
    encoding: i32,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Ed25519PrivateKey {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(bytes = "vec", tag = "2")]
    key_value: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    public_key: Option<Ed25519PublicKey>,
}

#[derive(Clone, PartialEq, Message)]
struct Ed25519PublicKey {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(bytes = "vec", tag = "2")]
    key_value: Vec<u8>,
}
