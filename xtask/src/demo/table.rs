//! The history as a table: ciphertext beside plaintext.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    credential::Credential,
    history::{Field, History, Payload},
};

/// Two columns, their indentation and the separator make 98.
const WIDTH: usize = 45;
const LINES: usize = 4;

/// Prints what Temporal stores beside what the codec server shows.
pub(super) fn print(history: &History, credential: &Credential) {
    let rule = "─".repeat(WIDTH);
    anstream::println!(
        "    \x1b[1m{:<WIDTH$} │ {}\x1b[0m",
        "Temporal stores",
        "the codec server shows"
    );
    for field in history.fields() {
        anstream::println!("    {rule}─┼─{rule}");
        anstream::println!("    \x1b[1m{:<WIDTH$}\x1b[0m │", clip(&field.place, WIDTH));
        for (stored, shown) in rows(field, credential) {
            anstream::println!("    \x1b[31m{stored:<WIDTH$}\x1b[0m │ \x1b[32m{shown}\x1b[0m");
        }
    }
    anstream::println!("    {rule}─┴─{rule}");
}

fn rows(field: &Field, credential: &Credential) -> Vec<(String, String)> {
    let stored = wrap(&ciphertext(&field.stored));
    let shown = wrap(&credential.mask(&plaintext(&field.shown)));
    let line = |lines: &[String], number: usize| lines.get(number).cloned().unwrap_or_default();
    let count = stored.len().max(shown.len());
    (0..count)
        .map(|number| (line(&stored, number), line(&shown, number)))
        .collect()
}

fn ciphertext(payload: &Payload) -> String {
    let key = payload.key.as_deref().unwrap_or("no key");
    let start: String = STANDARD.encode(&payload.data);
    format!(
        "{}, {key}\n{} bytes: {start}",
        payload.encoding,
        payload.data.len()
    )
}

fn plaintext(payload: &Payload) -> String {
    if payload.encoding == "binary/null" {
        return "null".to_owned();
    }
    let printable = |text: &String| !text.chars().any(|c| c.is_control() && c != '\n');
    let text = String::from_utf8(payload.data.clone())
        .ok()
        .filter(printable);
    text.unwrap_or_else(|| format!("{}, {} bytes", payload.encoding, payload.data.len()))
}

/// Cuts `text` into lines of the column's width, and into no more of them than fit a page.
fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let characters: Vec<char> = line.chars().collect();
        lines.extend(characters.chunks(WIDTH).map(String::from_iter));
    }
    if lines.len() > LINES {
        lines.truncate(LINES);
        if let Some(last) = lines.last_mut() {
            *last = clip(&format!("{}…", clip(last, WIDTH - 1)), WIDTH);
        }
    }
    lines
}

/// The first `width` characters.
pub(super) fn clip(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_ends_with_an_ellipsis_within_the_column() {
        let lines = wrap(&"x".repeat(WIDTH * LINES + 1));
        assert_eq!(lines.len(), LINES);
        assert!(lines.iter().all(|line| line.chars().count() == WIDTH));
        assert!(lines.last().unwrap().ends_with('…'));
    }

    #[test]
    fn a_text_that_fits_stays_whole() {
        assert_eq!(wrap("one\ntwo"), ["one", "two"]);
    }
}
