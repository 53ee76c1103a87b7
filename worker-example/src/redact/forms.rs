//! The forms in which a secret can appear in output.

use std::fmt::Write as _;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// The shortest secret that is searched for, in bytes. A shorter one would appear in unrelated text by chance.
const SHORTEST: usize = 8;
/// The shortest line of a secret that is searched for, in bytes.
const SHORTEST_PIECE: usize = 16;
/// Encoded forms are made of this many bytes of a task's secrets. This bounds the memory of the search.
const MOST_ENCODED: usize = 32 * 1024;
/// The length of the parts of base64 that are searched for, which is 9 bytes. Programs break base64 into rows, at lengths that
/// are multiples of 4.
const BASE64_PART: usize = 12;
/// The characters that percent encoding changes: all except those that RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

type Forms = Vec<Zeroizing<String>>;

/// All forms of all secrets, except very short secrets.
pub(super) fn of_all<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Forms {
    let mut forms = Forms::new();
    let mut encoded = 0;
    for text in secrets {
        if text.len() < SHORTEST {
            continue;
        }
        let lines = text.lines().map(str::trim);
        let pieces: Vec<&str> = std::iter::once(text)
            .chain(lines.filter(|line| line.len() >= SHORTEST_PIECE && *line != text))
            .collect();
        encoded += text.len();
        for piece in pieces {
            add(&mut forms, piece.to_owned());
            let once = escaped(piece);
            add(&mut forms, escaped(&once).to_string());
            forms.push(once);
            if encoded <= MOST_ENCODED {
                add_encodings(&mut forms, piece);
            }
        }
    }
    forms.sort_unstable_by(|a, b| a.as_str().cmp(b));
    forms.dedup();
    forms
}

fn add(forms: &mut Forms, form: String) {
    forms.push(Zeroizing::new(form));
}

/// The text inside a JSON string.
fn escaped(text: &str) -> Zeroizing<String> {
    let quoted = Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
    let inside = quoted.len().saturating_sub(1);
    Zeroizing::new(quoted.get(1..inside).unwrap_or(text).to_owned())
}

/// The text inside a JSON string of other languages. Go escapes the special characters of HTML, PHP the slash, and Python
/// and PHP all characters that are not ASCII.
fn add_other_json(forms: &mut Forms, text: &str) {
    let once = escaped(text);
    let go = [("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e")];
    let go = go
        .iter()
        .fold(once.to_string(), |text, (from, to)| text.replace(from, to));
    let python = ascii(&once);
    let php = python.replace('/', "\\/");
    for form in [go, php, python] {
        add(forms, escaped(&form).to_string());
        add(forms, form);
    }
}

fn ascii(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            ascii.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(ascii, "\\u{unit:04x}");
        }
    }
    ascii
}

fn add_encodings(forms: &mut Forms, text: &str) {
    add_other_json(forms, text);
    add(forms, hex::encode(text));
    add(forms, hex::encode_upper(text));
    let percent = utf8_percent_encode(text, RESERVED).to_string();
    for form in [percent.clone(), percent.replace("%20", "+")] {
        add(forms, lower_escapes(&form));
        add(forms, form);
    }
    let whole = Zeroizing::new(STANDARD.encode(text));
    add_base64(forms, whole.trim_end_matches('='));
    add_base64(forms, &whole);
    for before in [0, 1, 2] {
        let mut shifted = Zeroizing::new(vec![0; before]);
        shifted.extend_from_slice(text.as_bytes());
        // The first and the last characters also encode neighbouring bytes, so they are left out.
        let usable = shifted.len() / 3 * 4;
        let text = Zeroizing::new(STANDARD_NO_PAD.encode(&*shifted));
        let first = if before == 0 { 0 } else { before + 1 };
        add_base64(forms, text.get(first..usable).unwrap_or_default());
        let first_group = if before == 0 { 0 } else { 4 };
        for start in (first_group..usable).step_by(4) {
            let end = start + BASE64_PART;
            if end <= usable {
                add_base64(forms, text.get(start..end).unwrap_or_default());
            }
        }
    }
}

/// Adds a form in both alphabets of base64.
fn add_base64(forms: &mut Forms, piece: &str) {
    if piece.len() >= BASE64_PART {
        add(forms, piece.replace('+', "-").replace('/', "_"));
        add(forms, piece.to_owned());
    }
}

/// The text with lower-case escapes, such as `%2f` for `%2F`.
fn lower_escapes(text: &str) -> String {
    let mut parts = text.split('%');
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (escape, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        result.push('%');
        result.push_str(&escape.to_ascii_lowercase());
        result.push_str(rest);
    }
    result
}
