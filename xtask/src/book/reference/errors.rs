//! The texts of the library's errors, from the source that defines them.

use std::fmt::Write as _;

use anyhow::ensure;

use super::{
    cell, head,
    source::{self, Source},
};
use crate::workspace::Workspace;

/// The crates whose errors a user of the library or the programs sees.
const FOLDERS: [&str; 3] = ["audit/src", "codec/src", "kms"];

/// The page.
pub(super) fn page(workspace: &Workspace) -> anyhow::Result<String> {
    let sources = source::files(workspace, &FOLDERS)?;
    let mut page = head("Errors");
    page.push_str(
        "An error says what happened, to which key, field or file, and what to do. `{…}` is a place that the program fills in. No error holds a key, a payload byte or the text of a service's answer.\n\n\
         [Key services](../key-services.md#errors) explains the errors of key services.\n\n",
    );
    let kinds = kinds(&sources);
    ensure!(
        kinds.len() > 5,
        "no kinds of errors of key services were found"
    );
    page.push_str(
        "## Kinds of errors of key services\n\n| kind | name in metrics | text |\n|---|---|---|\n",
    );
    for (kind, name, text) in kinds {
        let _ = writeln!(page, "| `{kind}` | `{name}` | {} |", cell(&text));
    }
    let mut count = 0;
    for source in &sources {
        for (name, variants) in enums(&source.text) {
            count += variants.len();
            let _ = writeln!(page, "\n## {name}\n\n| error | text |\n|---|---|");
            for (variant, text) in variants {
                let _ = writeln!(page, "| `{variant}` | {} |", cell(&text));
            }
        }
    }
    ensure!(count > 10, "hardly any error was found");
    Ok(page)
}

/// The public enums of a source that are errors, each with its variants and their texts.
fn enums(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("\npub enum ") {
        let rest = &text[start + "\npub enum ".len()..];
        let Some((name, body)) = rest.split_once(" {\n") else {
            continue;
        };
        let body = body.split("\n}").next().unwrap_or(body);
        let variants: Vec<_> = variants(body);
        if !variants.is_empty() {
            found.push((name.to_owned(), variants));
        }
    }
    found
}

/// Variants with an attribute `#[error("…")]`. One without a text of its own shows another error's.
fn variants(body: &str) -> Vec<(String, String)> {
    let attributes = body.split("#[error(").skip(1);
    attributes
        .filter_map(|rest| {
            let (arguments, after) = rest.split_once(")]\n")?;
            let text = literal(arguments)?;
            let name = after
                .lines()
                .map(str::trim)
                .find(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))?;
            let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
            Some((name.to_owned(), text))
        })
        .filter(|(_, text)| !is_placeholder(text))
        .collect()
}

/// Whether the whole text is a placeholder, which tells nothing on this page.
fn is_placeholder(text: &str) -> bool {
    text.starts_with('{') && text.find('}') == Some(text.len() - 1)
}

/// The string at the beginning of an attribute's arguments. A line break after `\` joins two parts of it.
fn literal(arguments: &str) -> Option<String> {
    let inside = arguments.trim_start().strip_prefix('"')?;
    let mut text = String::new();
    let mut characters = inside.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Some(text),
            '\\' => match characters.next()? {
                '\n' => while characters.next_if(|next| next.is_whitespace()).is_some() {},
                escaped => text.push(escaped),
            },
            other => text.push(other),
        }
    }
    None
}

/// The kinds of errors of key services: their names, and what they say.
fn kinds(sources: &[Source]) -> Vec<(String, String, String)> {
    let Some(source) = sources
        .iter()
        .find(|source| source.text.contains("pub enum ProviderErrorKind "))
    else {
        return Vec::new();
    };
    let (names, summaries, advice) = (
        arms(&source.text, "as_str"),
        arms(&source.text, "summary"),
        arms(&source.text, "advice"),
    );
    let of = |arms: &[(String, String)], kind: &str| {
        arms.iter()
            .find(|(k, _)| k == kind)
            .map(|(_, text)| text.clone())
    };
    summaries
        .iter()
        .map(|(kind, summary)| {
            let text = match of(&advice, kind).filter(|text| !text.is_empty()) {
                Some(advice) => format!("{summary}; {advice}"),
                None => summary.clone(),
            };
            (kind.clone(), of(&names, kind).unwrap_or_default(), text)
        })
        .collect()
}

/// The arms `Self::KIND => "text"` of a function.
fn arms(text: &str, function: &str) -> Vec<(String, String)> {
    let Some((_, rest)) = text.split_once(&format!("fn {function}(self) -> &'static str {{"))
    else {
        return Vec::new();
    };
    let body = rest.split("\n    }\n").next().unwrap_or(rest);
    body.split("Self::")
        .skip(1)
        .scan(Vec::new(), |waiting, part| {
            let name = part
                .split(|c: char| !c.is_ascii_alphanumeric())
                .next()
                .unwrap_or_default();
            waiting.push(name.to_owned());
            // `A | B => "text"` is one arm of two kinds.
            let found = match part.split_once("=>") {
                Some((_, after)) => {
                    let text = literal(after.trim_start().trim_start_matches('{'));
                    let text = text.unwrap_or_default();
                    waiting.drain(..).map(|name| (name, text.clone())).collect()
                }
                None => Vec::new(),
            };
            Some(found)
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_have_their_texts() {
        let text = "\n/// Doc.\n#[derive(thiserror::Error)]\npub enum PayloadError {\n    /// One.\n    #[error(\"it is {0}\")]\n    One(u8),\n\
                    \x20   /// Two.\n    #[error(\n        \"first \\\n         second\"\n    )]\n    Two {\n        /// X.\n        x: u8,\n    },\n\
                    \x20   #[error(transparent)]\n    Three(Other),\n    #[error(\"{}\", say(x))]\n    Four,\n    #[error(\"{0}\")]\n    Five(x),\n}\n";
        let found = enums(text);
        assert_eq!(found.len(), 1);
        let variants: Vec<_> = found[0]
            .1
            .iter()
            .map(|(v, t)| format!("{v}: {t}"))
            .collect();
        assert_eq!(variants, ["One: it is {0}", "Two: first second"]);
    }

    #[test]
    fn kinds_have_name_text_and_advice() {
        let text = "pub enum ProviderErrorKind {\n}\nfn as_str(self) -> &'static str {\n        match self {\n            Self::A => \"a\",\n            \
                    Self::B => \"b\",\n        }\n    }\n\
                    fn summary(self) -> &'static str {\n        match self {\n            Self::A => \"a failed\",\n            Self::B => {\n \"b failed\"\n },\n        }\n    }\n\
                    fn advice(self) -> &'static str {\n        match self {\n            Self::A | Self::B => \"retry\",\n            _ => \"\",\n        }\n    }\n";
        let source = Source {
            path: "x.rs".to_owned(),
            text: text.to_owned(),
        };
        let found: Vec<_> = kinds(&[source])
            .into_iter()
            .map(|(k, n, t)| format!("{k} {n} {t}"))
            .collect();
        assert_eq!(found, ["A a a failed; retry", "B b b failed; retry"]);
    }
}
