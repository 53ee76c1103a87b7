//! Changes keysets so that they stay JSON. Bytes that are changed blindly seldom do, and base64 hides what they mean.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use libfuzzer_sys::fuzzer_mutate;
use serde_json::{Map, Value};

const STATES: [&str; 4] = ["ENABLED", "DISABLED", "DESTROYED", "UNKNOWN_STATUS"];
const PREFIXES: [&str; 5] = ["TINK", "RAW", "LEGACY", "CRUNCHY", "UNKNOWN_PREFIX"];
const TYPES: [&str; 6] = [
    "AesGcmKey",
    "AesGcmSivKey",
    "ChaCha20Poly1305Key",
    "EcdsaPrivateKey",
    "EcdsaPublicKey",
    "Ed25519PrivateKey",
];
/// More keys than a fuzzer needs.
const MANY: usize = 6;
/// How much longer key material can become.
const GROWTH: usize = 8;

/// The keyset with one change, which `seed` chooses. `None` when it has no key.
#[must_use]
pub fn mutated_keyset(json: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut keyset: Value = serde_json::from_slice(json).ok()?;
    let mut choice = Choice(seed);
    change(keyset.as_object_mut()?, &mut choice)?;
    serde_json::to_vec(&keyset).ok()
}

fn change(keyset: &mut Map<String, Value>, choice: &mut Choice) -> Option<()> {
    let kind = choice.below(12);
    let keys = keyset.get_mut("key")?.as_array_mut()?;
    let ids: Vec<Value> = keys.iter().map(|key| key["keyId"].clone()).collect();
    let other = choice.below(keys.len());
    let other = keys.get(other)?.clone();
    let index = choice.below(keys.len());
    match kind {
        0 => {
            let id = choice.one_of(&ids)?.clone();
            keyset.insert("primaryKeyId".to_owned(), id);
        }
        1 if keys.len() < MANY => keys.insert(index, other),
        2 if keys.len() > 1 => drop(keys.remove(index)),
        _ => change_key(keys.get_mut(index)?.as_object_mut()?, kind, &other, choice)?,
    }
    Some(())
}

fn change_key(
    key: &mut Map<String, Value>,
    kind: usize,
    other: &Value,
    choice: &mut Choice,
) -> Option<()> {
    let (name, value) = match kind {
        3 => ("status", choice.text(&STATES)?),
        4 => ("outputPrefixType", choice.text(&PREFIXES)?),
        5 => ("keyId", other["keyId"].clone()),
        6 => ("keyId", choice.below(4).into()),
        7 => ("keyData", other["keyData"].clone()),
        _ => {
            let data = key.get_mut("keyData")?.as_object_mut()?;
            if kind == 8 {
                let name = choice.one_of(&TYPES)?;
                let url = format!("type.googleapis.com/google.crypto.tink.{name}");
                data.insert("typeUrl".to_owned(), url.into());
            } else {
                change_material(data.get_mut("value")?)?;
            }
            return Some(());
        }
    };
    key.insert(name.to_owned(), value);
    Some(())
}

/// Changes the bytes as the fuzzer would, behind their base64.
fn change_material(value: &mut Value) -> Option<()> {
    let mut bytes = STANDARD.decode(value.as_str()?).ok()?;
    let len = bytes.len();
    bytes.resize(len + GROWTH, 0);
    let room = bytes.len();
    let len = fuzzer_mutate(&mut bytes, len, room);
    bytes.truncate(len);
    *value = STANDARD.encode(bytes).into();
    Some(())
}

/// Numbers that follow from a seed (Numerical Recipes' generator).
struct Choice(u32);

impl Choice {
    /// A number below `end`; 0 when `end` is 0.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((self.0 >> 16) as usize).checked_rem(end).unwrap_or(0)
    }

    fn one_of<'a, T>(&mut self, values: &'a [T]) -> Option<&'a T> {
        let index = self.below(values.len());
        values.get(index)
    }

    fn text(&mut self, values: &[&str]) -> Option<Value> {
        self.one_of(values).map(|&text| text.into())
    }
}
