//! Keysets as the port of Tink to Rust reads them. Google does not support this port, so it is for comparison only.
//!
//! The port is stricter than Google's libraries in two ways, which [`TinkKeyset`] undoes: it refuses a destroyed key without
//! material, and a private key of P-256 that does not have 32 bytes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tink_core::{
    Aead, Signer, Verifier,
    keyset::{Handle, JsonReader, Reader as _, insecure},
};
use tink_proto::{
    AesGcmKey, EcdsaPrivateKey, EcdsaSignatureEncoding, KeyData, KeyStatusType, Keyset,
    OutputPrefixType, key_data::KeyMaterialType, keyset::Key, prost::Message as _,
};

use crate::json_value;

const ENABLED: i32 = KeyStatusType::Enabled as i32;
const DESTROYED: i32 = KeyStatusType::Destroyed as i32;
/// The length of the keys that we accept, and of the scalars that the port accepts.
const KEY_LEN: usize = 32;

/// A keyset that Tink has parsed.
pub struct TinkKeyset(Keyset);

/// Why we refuse a keyset that Tink accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Text comes after the JSON.
    TrailingText,
    /// Some message is an array of its values. Google's libraries refuse it, too.
    Array,
    /// The output prefix type of some key is not `TINK`.
    OutputPrefix,
    /// Some key is not for AES-GCM, ECDSA or Ed25519.
    KeyType,
    /// Some AES key does not have 256 bits.
    KeySize,
    /// Some ECDSA key signs with `IEEE_P1363`.
    SignatureEncoding,
    /// The public key of some pair is not that of its private key.
    PublicKey,
    /// Some key is disabled, so that Tink does not read it, and cannot be read.
    DisabledKey,
    /// Some keys encrypt and others sign, and only those for one purpose are enabled.
    MixedPurposes,
    /// The first key with the id of the primary key is not enabled. A later one is.
    PrimaryNotEnabled,
}

/// Why Tink refuses a keyset that we accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leniency {
    /// Several enabled keys have the id of the primary key.
    SeveralPrimaries,
    /// A key has the id 0. Google's libraries accept it.
    KeyIdZero,
}

impl TinkKeyset {
    /// Parses JSON. `None` if Tink cannot.
    #[must_use]
    pub fn read(json: &[u8]) -> Option<Self> {
        tink_aead::init();
        tink_signature::init();
        JsonReader::new(json).read().ok().map(Self)
    }

    /// The primitive for encryption, if Tink accepts the keyset as one that encrypts.
    #[must_use]
    pub fn aead(&self) -> Option<Box<dyn Aead>> {
        tink_aead::new(&self.handle()?).ok()
    }

    /// The primitive for signing, if Tink accepts the keyset as one that signs.
    #[must_use]
    pub fn signer(&self) -> Option<Box<dyn Signer>> {
        tink_signature::new_signer(&self.handle()?).ok()
    }

    /// The primitive for verifying, from the public halves of the enabled keys.
    #[must_use]
    pub fn verifier(&self) -> Option<Box<dyn Verifier>> {
        let mut keyset = self.0.clone();
        keyset.key.retain(|key| key.status == ENABLED);
        // Only here Tink reads this field.
        for data in keyset
            .key
            .iter_mut()
            .filter_map(|key| key.key_data.as_mut())
        {
            data.key_material_type = KeyMaterialType::AsymmetricPrivate.into();
        }
        let public = Self(keyset).handle()?.public().ok()?;
        tink_signature::new_verifier(&public).ok()
    }

    /// Each key with material as the only key of a keyset, where it is enabled.
    pub fn each_key(&self) -> impl Iterator<Item = Self> {
        let with_material = self.0.key.iter().filter(|key| key.key_data.is_some());
        with_material.map(Self::of)
    }

    /// The id of the primary key.
    #[must_use]
    pub fn primary(&self) -> u32 {
        self.0.primary_key_id
    }

    /// Whether several keys have this id.
    #[must_use]
    pub fn repeats(&self, id: u32) -> bool {
        self.0.key.iter().filter(|key| key.key_id == id).count() > 1
    }

    /// Why we refuse this keyset, if Tink accepts it. `json` is its text.
    #[must_use]
    pub fn refusals(&self, json: &[u8]) -> Vec<Refusal> {
        let keys = &self.0.key;
        let readable: Vec<&Key> = keys.iter().filter(|key| key.status != DESTROYED).collect();
        let signing = readable
            .iter()
            .filter(|key| Self::of(key).signer().is_some());
        let signing = signing.count();
        let first = keys.iter().find(|key| key.key_id == self.primary());
        let mut refusals: Vec<Refusal> = readable.iter().filter_map(|key| refusal(key)).collect();
        refusals.extend(refusal_of_text(json));
        for (applies, reason) in [
            (keys.iter().any(has_other_prefix), Refusal::OutputPrefix),
            (
                signing != 0 && signing != readable.len(),
                Refusal::MixedPurposes,
            ),
            (
                first.is_some_and(|key| key.status != ENABLED),
                Refusal::PrimaryNotEnabled,
            ),
        ] {
            refusals.extend(applies.then_some(reason));
        }
        refusals
    }

    /// Why Tink refuses this keyset, if we accept it.
    #[must_use]
    pub fn leniency(&self) -> Option<Leniency> {
        let keys = &self.0.key;
        let is_primary = |key: &&Key| key.status == ENABLED && key.key_id == self.primary();
        if keys.iter().filter(is_primary).count() > 1 {
            Some(Leniency::SeveralPrimaries)
        } else if keys.iter().any(|key| key.key_id == 0) {
            Some(Leniency::KeyIdZero)
        } else {
            None
        }
    }

    fn of(key: &Key) -> Self {
        let mut key = key.clone();
        key.status = ENABLED;
        Self(Keyset {
            primary_key_id: key.key_id,
            key: vec![key],
        })
    }

    fn handle(&self) -> Option<Handle> {
        let mut keyset = self.0.clone();
        let keys = &mut keyset.key;
        keys.retain(|key| key.status != DESTROYED || key.key_data.is_some());
        keys.iter_mut()
            .filter_map(|key| key.key_data.as_mut())
            .for_each(with_whole_scalar);
        insecure::new_handle(keyset).ok()
    }
}

/// A keyset as a value. `None` when a member that every reader skips is not a value of `serde_json`.
#[must_use]
pub fn keyset_value(json: &[u8]) -> Option<Value> {
    str::from_utf8(json).ok()?;
    json_value(json)
}

/// Whether some key is destroyed and has material that is not base64. Only the port decodes it.
#[must_use]
pub fn has_damaged_remains(keyset: &Value) -> bool {
    let mut keys = keyset["key"].as_array().into_iter().flatten();
    keys.any(|key| {
        let value = key["keyData"]["value"].as_str();
        key["status"] == "DESTROYED" && value.is_some_and(|value| STANDARD.decode(value).is_err())
    })
}

fn refusal_of_text(json: &[u8]) -> Option<Refusal> {
    if serde_json::from_slice::<Keyset>(json).is_err() {
        return Some(Refusal::TrailingText);
    }
    let keyset = keyset_value(json)?;
    let mut keys = keyset["key"].as_array().into_iter().flatten();
    let has_array =
        keyset.is_array() || keys.any(|key| key.is_array() || key["keyData"].is_array());
    has_array.then_some(Refusal::Array)
}

fn has_other_prefix(key: &Key) -> bool {
    key.output_prefix_type != OutputPrefixType::Tink as i32
}

/// Why we refuse a key that Tink accepts or does not read.
fn refusal(key: &Key) -> Option<Refusal> {
    let data = key.key_data.as_ref()?;
    let alone = TinkKeyset::of(key);
    match data.type_url.as_str() {
        tink_aead::AES_GCM_TYPE_URL => {
            let message = AesGcmKey::decode(&*data.value).ok();
            match message.filter(|_| alone.aead().is_some()) {
                None => Some(Refusal::DisabledKey),
                Some(message) if message.key_value.len() != KEY_LEN => Some(Refusal::KeySize),
                Some(_) => None,
            }
        }
        tink_signature::ECDSA_SIGNER_TYPE_URL | tink_signature::ED25519_SIGNER_TYPE_URL => {
            let Some(signer) = alone.signer() else {
                return Some(Refusal::DisabledKey);
            };
            let signature = signer.sign(&[]).expect("a signer signs");
            let verifies = |verifier: Box<dyn Verifier>| verifier.verify(&signature, &[]).is_ok();
            if signs_raw(data) {
                Some(Refusal::SignatureEncoding)
            } else if alone.verifier().is_some_and(verifies) {
                None
            } else {
                Some(Refusal::PublicKey)
            }
        }
        _ => Some(Refusal::KeyType),
    }
}

/// Whether a key signs with ECDSA and writes its two numbers one after the other.
fn signs_raw(data: &KeyData) -> bool {
    let message = ecdsa(data).and_then(|message| message.public_key?.params);
    message.is_some_and(|params| params.encoding == EcdsaSignatureEncoding::IeeeP1363 as i32)
}

fn ecdsa(data: &KeyData) -> Option<EcdsaPrivateKey> {
    let message = EcdsaPrivateKey::decode(&*data.value).ok();
    message.filter(|_| data.type_url == tink_signature::ECDSA_SIGNER_TYPE_URL)
}

/// Gives the private key of P-256 its 32 bytes, where zeros lack or are too many.
fn with_whole_scalar(data: &mut KeyData) {
    let Some(mut message) = ecdsa(data) else {
        return;
    };
    let scalar = message.key_value;
    let zeros = scalar.iter().take_while(|&&byte| byte == 0).count();
    let significant = &scalar[zeros..];
    if scalar.len() == KEY_LEN || significant.len() > KEY_LEN {
        return;
    }
    let mut whole = vec![0; KEY_LEN - significant.len()];
    whole.extend_from_slice(significant);
    message.key_value = whole;
    data.value = message.encode_to_vec();
}
