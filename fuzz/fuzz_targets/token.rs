//! JWTs and JWKS: only what was signed is believed, also where a genuine token or the keys were changed.

#![no_main]

use arbitrary::Arbitrary;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use fuzz::{Edit, edited};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use temporal_kms_codec_service::auth::verified_claims;

const KEYS: &[u8] = include_bytes!("../fixtures/jwks.json");
const TOKENS: [&str; 2] = [
    include_str!("../fixtures/es256.jwt"),
    include_str!("../fixtures/eddsa.jwt"),
];

#[derive(Arbitrary, Debug)]
struct Input {
    number: bool,
    edits: [Vec<Edit>; 3],
    text_edits: Vec<Edit>,
    keys: Vec<Edit>,
    token: String,
    jwks: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let token = TOKENS[usize::from(input.number)];
    let claims = verified_claims(KEYS, token).expect("it is genuine");
    assert_eq!(Some(&claims), claims_of(token).as_ref());

    // Within its parts, so that they stay base64.
    let parts = token.split('.').zip(&input.edits);
    let parts = parts.map(|(part, edits)| {
        let bytes = URL_SAFE_NO_PAD.decode(part).expect("it is base64");
        URL_SAFE_NO_PAD.encode(edited(bytes, edits))
    });
    check(&parts.collect::<Vec<_>>().join("."), token);
    let changed = edited(token.as_bytes().to_vec(), &input.text_edits);
    check(&String::from_utf8_lossy(&changed), token);
    check(&input.token, token);

    let keys = edited(KEYS.to_vec(), &input.keys);
    for keys in [&keys, &input.jwks] {
        if let Some(found) = verified_claims(keys, token) {
            assert_eq!(found, claims);
        }
    }
});

fn check(changed: &str, genuine: &str) {
    let found = verified_claims(KEYS, changed);
    if TOKENS.contains(&changed) {
        assert!(found.is_some());
    } else {
        assert_eq!(found, None, "{changed} {genuine}");
    }
}

fn claims_of(token: &str) -> Option<Map<String, Value>> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok()
}
