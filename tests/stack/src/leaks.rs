use std::fmt::Write as _;

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters that percent encoding changes: all except those that RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// `secret` in the encodings that could hold it unencrypted, each with its name.
///
/// Base64 comes in its three alignments: a secret in the middle of a document starts at any of
/// three positions within a group of four characters. Characters that its neighbours influence
/// are cut off.
#[must_use]
pub fn forms_of(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("plain text", secret.to_vec()),
        ("lower-case hex", hex::encode(secret).into_bytes()),
        ("upper-case hex", hex::encode_upper(secret).into_bytes()),
    ];
    for skipped in 0..3 {
        forms.push(("base64", aligned(secret, skipped, &STANDARD_NO_PAD)));
        forms.push((
            "URL-safe base64",
            aligned(secret, skipped, &URL_SAFE_NO_PAD),
        ));
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        let escaped = json(text);
        let percent = utf8_percent_encode(text, RESERVED).to_string();
        for (name, form) in [
            ("JSON", escaped.clone()),
            ("JSON in JSON", json(&escaped)),
            ("ASCII JSON", ascii_json(&escaped)),
            ("a form of a web page", percent.replace("%20", "+")),
            ("lower-case percent encoding", lower_escapes(&percent)),
            ("percent encoding", percent),
        ] {
            forms.push((name, form.into_bytes()));
        }
    }
    forms
}

/// `text` as it is between the quotes of a JSON string.
fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(&quoted).to_owned()
}

/// Percent encoding with escapes such as `%2f` for `%2F`.
fn lower_escapes(percent: &str) -> String {
    let mut parts = percent.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (escape, rest) = part.split_at(part.len().min(2));
        lower.push('%');
        lower.push_str(&escape.to_ascii_lowercase());
        lower.push_str(rest);
    }
    lower
}

/// The encoding in which `haystack` holds `secret`, if it does.
///
/// # Panics
/// The secret is shorter than 8 bytes: a search for it would prove nothing.
#[must_use]
pub fn find_secret(haystack: &[u8], secret: &[u8]) -> Option<&'static str> {
    assert!(
        secret.len() >= 8,
        "a secret of {} bytes may stand anywhere by chance",
        secret.len()
    );
    forms_of(secret)
        .into_iter()
        .find(|(_, form)| memmem::find(haystack, form).is_some())
        .map(|(name, _)| name)
}

/// `escaped` as JSON writers print it that leave no character above ASCII.
fn ascii_json(escaped: &str) -> String {
    let mut ascii = String::with_capacity(escaped.len());
    for character in escaped.chars() {
        if character.is_ascii() {
            ascii.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(ascii, "\\u{unit:04x}");
        }
    }
    ascii
}

/// Base64 of `secret` when `skipped` bytes precede it in its group of three.
fn aligned(secret: &[u8], skipped: usize, alphabet: &impl base64::Engine) -> Vec<u8> {
    let mut bytes = vec![0; skipped];
    bytes.extend_from_slice(secret);
    let mut text = alphabet.encode(&bytes).into_bytes();
    if !bytes.len().is_multiple_of(3) {
        text.pop();
    }
    let influenced = (skipped * 8).div_ceil(6);
    text.drain(..influenced.min(text.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{
        Engine as _,
        engine::general_purpose::{STANDARD, URL_SAFE},
    };

    const SECRET: &[u8] = b"sk-ant-??>>-\"quoted\"-0123";

    #[test]
    fn base64_is_found_at_every_position() {
        for before in 0..7 {
            for after in 0..5 {
                let document = [vec![b'<'; before], SECRET.to_vec(), vec![b'>'; after]].concat();
                assert_eq!(
                    find_secret(STANDARD.encode(&document).as_bytes(), SECRET),
                    Some("base64")
                );
                assert!(find_secret(URL_SAFE.encode(&document).as_bytes(), SECRET).is_some());
            }
        }
    }

    #[test]
    fn escapes_and_hex_are_found() {
        let json = serde_json::json!({ "key": std::str::from_utf8(SECRET).unwrap() }).to_string();
        assert_eq!(find_secret(json.as_bytes(), SECRET), Some("JSON"));
        let twice = serde_json::Value::from(json).to_string();
        assert_eq!(find_secret(twice.as_bytes(), SECRET), Some("JSON in JSON"));
        assert_eq!(
            find_secret(hex::encode(SECRET).as_bytes(), SECRET),
            Some("lower-case hex")
        );
        for url in [
            "?key=sk-ant-%3F%3F%3E%3E-%22quoted%22-0123&x",
            "?key=sk-ant-%3f%3f%3e%3e-%22quoted%22-0123&x",
        ] {
            assert!(find_secret(url.as_bytes(), SECRET).is_some(), "{url}");
        }
        assert_eq!(
            find_secret(b"q=two+words%21", b"two words!"),
            Some("a form of a web page")
        );
        assert_eq!(find_secret(b"sk-ant-another one", SECRET), None);
        let ascii = br#"{"text":"K\u00e4se \ud83e\uddc0 here"}"#;
        assert_eq!(
            find_secret(ascii, "Käse 🧀 here".as_bytes()),
            Some("ASCII JSON")
        );
    }
}
