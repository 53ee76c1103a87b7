//! An issuer's public keys (JWK, RFC 7517), and checking signatures with them.

use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::{Algorithm, KeyType};

/// No issuer has more keys.
const MOST_KEYS: usize = 200;

/// The keys of an issuer that check signatures.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

/// One public key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    id: Option<String>,
    /// The one algorithm that the issuer uses it with, if the issuer says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// The document at an issuer's `jwks_uri`.
#[derive(Deserialize)]
pub(super) struct Jwks {
    /// Each is read on its own: an unknown kind of key must not make the others unusable.
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// The keys that check signatures. Others are left out.
    pub(super) fn new(document: Jwks) -> Self {
        let keys = document.keys.into_iter().take(MOST_KEYS);
        Self(
            keys.filter_map(|jwk| serde_json::from_value(jwk).ok())
                .filter_map(Key::new)
                .collect(),
        )
    }

    /// The keys that may have signed a token with this header. A token without the id of a key fits only when the issuer
    /// has one key for the algorithm (OIDC Core, section 10.1).
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Candidates<'_> {
        let named: Vec<&Key> = self
            .0
            .iter()
            .filter(|key| id.is_none() || key.id.as_deref() == id)
            .collect();
        if named.is_empty() {
            return Candidates::UnknownKey;
        }
        let fit: Vec<&Key> = named
            .into_iter()
            .filter(|key| key.fits(algorithm))
            .collect();
        match (id, fit.len()) {
            (_, 0) => Candidates::WrongAlgorithm,
            (None, 2..) => Candidates::UnknownKey,
            _ => Candidates::Keys(fit),
        }
    }

    /// Which of these algorithms a key can be used with.
    pub(super) fn fitting(&self, algorithms: &[Algorithm]) -> Vec<Algorithm> {
        let fits = |algorithm: &&Algorithm| self.0.iter().any(|key| key.fits(**algorithm));
        algorithms.iter().filter(fits).copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The keys that a token may be signed with.
pub(super) enum Candidates<'k> {
    /// At least one.
    Keys(Vec<&'k Key>),
    /// The issuer has no key with this id.
    UnknownKey,
    /// The issuer's key is not for this algorithm.
    WrongAlgorithm,
}

impl Key {
    /// `None` for keys that do not check signatures, and for kinds of keys that are not supported.
    fn new(jwk: Jwk) -> Option<Self> {
        let is_for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && jwk
                .key_ops
                .as_ref()
                .is_none_or(|operations| operations.iter().any(|one| one == "verify"));
        if !is_for_signatures {
            return None;
        }
        let algorithm = match jwk.alg.as_deref() {
            Some(name) => Some(Algorithm::named(name)?),
            None => None,
        };
        let point = |length: usize| {
            let x = fixed(jwk.x.as_deref()?, length)?;
            let y = fixed(jwk.y.as_deref()?, length)?;
            Some([&[4], x.as_slice(), y.as_slice()].concat())
        };
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Material::Rsa {
                n: number(jwk.n.as_deref()?)?,
                e: number(jwk.e.as_deref()?)?,
            },
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(fixed(jwk.x.as_deref()?, 32)?),
            _ => return None,
        };
        let key = Self {
            id: jwk.kid,
            algorithm,
            material,
        };
        // A key that names an algorithm of another type fits nothing.
        let fits_itself = |algorithm: Algorithm| algorithm.key_type() == key.key_type();
        algorithm.is_none_or(fits_itself).then_some(key)
    }

    fn key_type(&self) -> KeyType {
        match self.material {
            Material::Rsa { .. } => KeyType::Rsa,
            Material::P256(_) => KeyType::P256,
            Material::P384(_) => KeyType::P384,
            Material::Ed25519(_) => KeyType::Ed25519,
        }
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.key_type() == algorithm.key_type() && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether the key made `signature` of `message`. RSA keys of less than 2048 bits never did.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let plain = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key)
                .verify(message, signature)
                .is_ok()
        };
        match (&self.material, algorithm.key_type()) {
            (Material::Rsa { n, e }, KeyType::Rsa) => rsa(algorithm).is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }
                    .verify(parameters, message, signature)
                    .is_ok()
            }),
            (Material::P256(point), KeyType::P256) => plain(&ECDSA_P256_SHA256_FIXED, point),
            (Material::P384(point), KeyType::P384) => plain(&ECDSA_P384_SHA384_FIXED, point),
            (Material::Ed25519(key), KeyType::Ed25519) => plain(&ED25519, key),
            _ => false,
        }
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

/// A number without leading zeros, which some issuers add.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let number = bytes.get(zeros..)?;
    (!number.is_empty()).then(|| number.to_vec())
}

fn fixed(text: &str, length: usize) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    (bytes.len() == length).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(keys: &Value) -> KeySet {
        KeySet::new(serde_json::from_value(json!({ "keys": keys })).unwrap())
    }

    /// Public keys whose points need not be on the curve: nothing is verified with them.
    fn ec(more: &Value) -> Value {
        let coordinate = URL_SAFE_NO_PAD.encode([7; 32]);
        let mut key =
            json!({ "kty": "EC", "crv": "P-256", "x": coordinate, "y": coordinate, "kid": "a" });
        key.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        key
    }

    #[test]
    fn keys_for_other_purposes_and_unknown_kinds_are_left_out() {
        for (more, is_kept) in [
            (json!({}), true),
            (
                json!({ "use": "sig", "alg": "ES256", "key_ops": ["verify"] }),
                true,
            ),
            (json!({ "use": "enc" }), false),
            (json!({ "key_ops": ["encrypt"] }), false),
            (json!({ "alg": "ES384" }), false),
            (json!({ "alg": "HS256" }), false),
            (json!({ "alg": "none" }), false),
            (json!({ "alg": "ECDH-ES" }), false),
            (json!({ "crv": "P-521" }), false),
            (json!({ "crv": "P-384" }), false),
            (json!({ "kty": "oct", "k": "AAAA" }), false),
            (json!({ "x": "AA" }), false),
            (json!({ "x": 1 }), false),
        ] {
            let set = set(&json!([ec(&more), 1, {}, { "kty": "RSA" }]));
            assert_eq!(set.len(), usize::from(is_kept), "{more}");
        }
    }

    #[test]
    fn a_key_is_found_by_its_id_and_algorithm() {
        let two = set(&json!([ec(&json!({})), ec(&json!({ "kid": "b" }))]));
        let found = |set: &KeySet, id, algorithm| match set.candidates(id, algorithm) {
            Candidates::Keys(keys) => format!("{}", keys.len()),
            Candidates::UnknownKey => "unknown".to_owned(),
            Candidates::WrongAlgorithm => "algorithm".to_owned(),
        };
        assert_eq!(found(&two, Some("a"), Algorithm::Es256), "1");
        assert_eq!(found(&two, Some("a"), Algorithm::Rs256), "algorithm");
        assert_eq!(found(&two, Some("c"), Algorithm::Es256), "unknown");
        // It would be a guess.
        assert_eq!(found(&two, None, Algorithm::Es256), "unknown");
        let one = set(&json!([ec(&json!({}))]));
        assert_eq!(found(&one, None, Algorithm::Es256), "1");
        assert_eq!(found(&KeySet::default(), None, Algorithm::Es256), "unknown");
        assert_eq!(two.fitting(&Algorithm::ALL), [Algorithm::Es256]);
        assert!(two.fitting(&[Algorithm::Rs256]).is_empty());
    }

    #[test]
    fn a_huge_set_is_bounded() {
        let set = set(&Value::Array(vec![ec(&json!({})); 1000]));
        assert_eq!(set.len(), MOST_KEYS);
    }
}
