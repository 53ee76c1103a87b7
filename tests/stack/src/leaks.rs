//! Secrets in documents, in the encodings that could hold them.

use std::fmt::Write as _;

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// The characters that percent encoding changes: all except those that RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A secret in the encodings that could hold it unencrypted.
pub struct Forms(Vec<(&'static str, Zeroizing<Vec<u8>>)>);

impl Forms {
    /// All forms of `secret`.
    ///
    /// Base64 comes in its three alignments: a secret in the middle of a document starts at any of
    /// three positions within a group of four characters. Characters that its neighbours influence
    /// are cut off.
    ///
    /// # Panics
    /// The secret is shorter than 8 bytes: a search for it would prove nothing.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        assert!(
            secret.len() >= 8,
            "a secret of {} bytes may appear anywhere by chance",
            secret.len()
        );
        let mut forms = Self(Vec::new());
        forms.add("plain text", secret);
        forms.add("lower-case hex", hex::encode(secret));
        forms.add("upper-case hex", hex::encode_upper(secret));
        for skipped in 0..3 {
            forms.add("base64", aligned(secret, skipped, &STANDARD_NO_PAD));
            forms.add(
                "URL-safe base64",
                aligned(secret, skipped, &URL_SAFE_NO_PAD),
            );
        }
        if let Ok(text) = std::str::from_utf8(secret) {
            forms.add_text(text);
        }
        forms
    }

    fn add_text(&mut self, text: &str) {
        let escaped = json(text);
        let percent = utf8_percent_encode(text, RESERVED).to_string();
        self.add("JSON", &escaped);
        self.add("JSON in JSON", json(&escaped));
        self.add("ASCII JSON", ascii_json(&escaped));
        self.add("a form of a web page", percent.replace("%20", "+"));
        self.add("lower-case percent encoding", lower_escapes(&percent));
        self.add("percent encoding", percent);
        // JavaScript keeps some texts like this.
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.add("UTF-16", wide);
    }

    /// Adds a form that differs from the others.
    fn add(&mut self, name: &'static str, form: impl AsRef<[u8]>) {
        let form = Zeroizing::new(form.as_ref().to_vec());
        if self.0.iter().all(|(_, other)| *other != form) {
            self.0.push((name, form));
        }
    }

    /// The name of the form in which `haystack` holds the secret, if it does.
    #[must_use]
    pub fn find_in(&self, haystack: &[u8]) -> Option<&'static str> {
        let mut forms = self.0.iter();
        let found = forms.find(|(_, form)| memmem::find(haystack, form).is_some());
        found.map(|(name, _)| *name)
    }
}

/// The encoding in which `haystack` holds `secret`, if it does. For one secret and many documents, use [`Forms`].
///
/// # Panics
/// As [`Forms::of`].
#[must_use]
pub fn find_secret(haystack: &[u8], secret: &[u8]) -> Option<&'static str> {
    Forms::of(secret).find_in(haystack)
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
    use std::collections::BTreeSet;

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
        let wide: Vec<u8> = "a text in a browser"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(find_secret(&wide, b"in a browser"), Some("UTF-16"));
    }

    #[test]
    fn forms_serve_many_documents_and_each_form_is_searched_once() {
        let forms = Forms::of(SECRET);
        assert_eq!(forms.find_in(SECRET), Some("plain text"));
        assert_eq!(forms.find_in(b"another document"), None);
        assert_eq!(
            forms.find_in(hex::encode_upper(SECRET).as_bytes()),
            Some("upper-case hex")
        );
        let needles: BTreeSet<&[u8]> = forms.0.iter().map(|(_, form)| form.as_slice()).collect();
        assert_eq!(needles.len(), forms.0.len());
    }

    #[test]
    #[should_panic(expected = "by chance")]
    fn a_secret_that_is_too_short_to_search_for_is_refused() {
        let _ = Forms::of(b"1234567");
    }
}
