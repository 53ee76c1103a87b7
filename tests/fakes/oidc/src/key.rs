//! Keys that sign tokens, and their public form (RFC 7517, RFC 8037).

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The algorithms of RSA keys.
pub const RSA: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

/// A key pair.
#[derive(Debug)]
pub struct Key {
    id: String,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    /// A new key for an algorithm such as `RS256`.
    ///
    /// # Panics
    /// For an algorithm that is not supported.
    #[must_use]
    pub fn generate(id: &str, algorithm: &str) -> Self {
        const WORKS: &str = "keys can be made";
        let ec = |algorithm| EcdsaKeyPair::generate(algorithm).expect(WORKS);
        let pair = match algorithm {
            rsa if RSA.contains(&rsa) => {
                Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect(WORKS))
            }
            "ES256" => Pair::P256(ec(&ECDSA_P256_SHA256_FIXED_SIGNING)),
            "ES384" => Pair::P384(ec(&ECDSA_P384_SHA384_FIXED_SIGNING)),
            "EdDSA" => Pair::Ed25519(Ed25519KeyPair::generate().expect(WORKS)),
            other => panic!("{other} is not supported"),
        };
        Self {
            id: id.to_owned(),
            pair,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it is for this algorithm.
    #[must_use]
    pub fn fits(&self, algorithm: &str) -> bool {
        match &self.pair {
            Pair::Rsa(_) => RSA.contains(&algorithm),
            Pair::P256(_) => algorithm == "ES256",
            Pair::P384(_) => algorithm == "ES384",
            Pair::Ed25519(_) => algorithm == "EdDSA",
        }
    }

    /// The signature of `message`.
    ///
    /// # Panics
    /// When the key is not for this algorithm.
    #[must_use]
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &dyn RsaEncoding = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    other => panic!("{other} is not an algorithm of RSA"),
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)
                    .expect("the key signs");
                signature
            }
            Pair::P256(pair) | Pair::P384(pair) => {
                let signature = pair.sign(&random, message).expect("the key signs");
                signature.as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The public key in DER (for RSA) or as a point: what an attacker would misuse as the key of an HMAC.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::P256(pair) | Pair::P384(pair) => pair.public_key().as_ref(),
            Pair::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }

    /// The public key as a JWK. That of an RSA key names no algorithm, because it is used with several.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |curve: &str, algorithm: &str, length: usize| {
            let (x, y) = self.public()[1..].split_at(length);
            json!({ "kty": "EC", "crv": curve, "alg": algorithm, "x": text(x), "y": text(y) })
        };
        let key = match &self.pair {
            Pair::Rsa(_) => {
                let [n, e] = integers(self.public());
                json!({ "kty": "RSA", "n": text(n), "e": text(e) })
            }
            Pair::P256(_) => point("P-256", "ES256", 32),
            Pair::P384(_) => point("P-384", "ES384", 48),
            Pair::Ed25519(_) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": text(self.public()) })
            }
        };
        jwk_with(key, &json!({ "kid": self.id, "use": "sig" }))
    }
}

/// A JWK with other members.
#[must_use]
pub fn jwk_with(mut jwk: Value, more: &Value) -> Value {
    if let (Some(jwk), Some(more)) = (jwk.as_object_mut(), more.as_object()) {
        jwk.extend(more.clone());
    }
    jwk
}

/// The two integers of an `RSAPublicKey` (RFC 8017, appendix A.1.1), without leading zeros.
fn integers(der: &[u8]) -> [&[u8]; 2] {
    let (sequence, _) = element(der);
    let (n, rest) = element(sequence);
    let (e, _) = element(rest);
    [n, e].map(|number| number.strip_prefix(&[0]).unwrap_or(number))
}

/// The content of the first element, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, start) = match der[1] {
        short @ 0..=127 => (usize::from(short), 2),
        0x81 => (usize::from(der[2]), 3),
        0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
        _ => panic!("no key is longer"),
    };
    der[start..].split_at(length)
}
