//! The texts of all errors, from the source that defines them.

mod declared;

use std::{collections::BTreeSet, fmt::Write as _};

use anyhow::ensure;

use self::declared::{Declared, Text, arms, declared};
use super::{
    cell, head,
    source::{self, Source},
};
use crate::workspace::Workspace;

/// A part of the product, with the folders of its sources.
struct Part {
    title: &'static str,
    introduction: &'static str,
    folders: &'static [&'static str],
}

const PARTS: [Part; 4] = [
    Part {
        title: "The library",
        introduction: "Programs that use the library get these errors. The commands and servers show their texts, too.",
        folders: &["audit/src", "codec/src", "kms", "proto/src"],
    },
    Part {
        title: "Every server",
        introduction: "The codec server and the API of `claude-tasks` show these.",
        folders: &["service/src"],
    },
    Part {
        title: "codec-server",
        introduction: "HTTP clients get the texts of `RequestError`. [HTTP API](../http-api.md) has the status codes.",
        folders: &["codec-server/src"],
    },
    Part {
        title: "claude-tasks",
        introduction: "HTTP clients get the texts of `ApiError` and `RequestError`. [Claude tasks over HTTP](../claude-tasks-api.md) has the status codes. \
                       The commands and the client library show the others.",
        folders: &["worker-example/src"],
    },
];

/// The error that has the kinds of errors of key services.
const OF_KEY_SERVICES: &str = "ProviderError";

/// The page.
pub(super) fn page(workspace: &Workspace) -> anyhow::Result<String> {
    let mut page = head("Errors");
    page.push_str(
        "An error says what happened, to which key, field or file, and what to do. `{…}` is a place that the program fills in. No error holds a key, a payload byte or the text of a key service's answer.\n\n\
         [Key services](../key-services.md#errors) explains the errors of key services.\n\n",
    );
    let mut parts = Vec::new();
    for part in &PARTS {
        parts.push((part, source::files(workspace, part.folders)?));
    }
    let kinds: Vec<_> = parts
        .iter()
        .flat_map(|(_, sources)| kinds(sources))
        .collect();
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
    let parts: Vec<(&Part, Vec<Declared>)> = parts
        .iter()
        .map(|(part, sources)| {
            let errors = sources.iter().flat_map(|source| declared(&source.text));
            (*part, errors.collect())
        })
        .collect();
    let names: BTreeSet<&str> = parts
        .iter()
        .flat_map(|(_, errors)| errors)
        .map(|error| error.name.as_str())
        .collect();
    for (part, errors) in &parts {
        ensure!(errors.len() > 2, "{} has hardly any error", part.title);
        let _ = write!(page, "\n## {}\n\n{}\n", part.title, part.introduction);
        section(&mut page, errors, &names);
    }
    Ok(page)
}

/// The errors of a part: a table for each error with variants, and one for all others.
fn section(page: &mut String, errors: &[Declared], names: &BTreeSet<&str>) {
    let mut others = String::new();
    for error in errors {
        let mut rows = String::new();
        for (variant, text) in &error.texts {
            if let Some(text) = shown(text, names) {
                let _ = writeln!(rows, "| `{variant}` | {} |", cell(&text));
            }
        }
        if error.has_variants && !rows.is_empty() {
            let _ = write!(
                page,
                "\n### {}\n\n{}\n\n| error | text |\n|---|---|\n{rows}",
                error.name, error.summary
            );
        } else {
            others.push_str(&rows);
        }
    }
    if !others.is_empty() {
        let _ = write!(
            page,
            "\n### Others\n\n| error | text |\n|---|---|\n{others}"
        );
    }
}

/// The text of a row. An error that is shown as another one refers to it. A text that is computed is told by what it is about.
fn shown(text: &Text, names: &BTreeSet<&str>) -> Option<String> {
    match text {
        // Braces are written twice in the text of an error.
        Text::Words(words) => Some(words.replace("{{", "{").replace("}}", "}")),
        Text::Other { name, .. } if name == OF_KEY_SERVICES => Some(
            "see [Kinds of errors of key services](#kinds-of-errors-of-key-services)".to_owned(),
        ),
        Text::Other { name, .. } if names.contains(name.as_str()) => Some(format!("see `{name}`")),
        Text::Other { summary, .. } => (!summary.is_empty()).then(|| format!("({summary})")),
    }
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
        arms(&source.text, "fn as_str(self) -> &'static str {"),
        arms(&source.text, "fn summary(self) -> &'static str {"),
        arms(&source.text, "fn advice(self) -> &'static str {"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_errors_with_their_texts() {
        let page = page(&Workspace::discover().unwrap()).unwrap();
        let part = |title: &str| {
            let (_, rest) = page.split_once(&format!("\n## {title}\n")).unwrap();
            rest.split("\n## ").next().unwrap()
        };
        for (title, row) in [
            ("The library", "| `DecryptOnly` | nothing is encrypted here"),
            ("The library", "| `Payload` | see `PayloadError` |"),
            ("The library", "| `Provider` | see [Kinds of errors"),
            ("The library", "| `Empty` | the body is empty;"),
            ("The library", "| `PublicKeyError` | the public key is not"),
            ("Every server", "### LoginError"),
            ("codec-server", "### RequestError"),
            ("codec-server", "| `Unauthenticated` | see `Refused` |"),
            ("codec-server", "### ServerError"),
            ("claude-tasks", "### ApiError"),
            ("claude-tasks", "### RequestError"),
            ("claude-tasks", "| `Exists` | a task `{0}` already exists"),
        ] {
            assert!(part(title).contains(row), "{title} has no {row}");
        }
        assert!(!page.contains("](Self::") && !page.contains("| {} |") && !page.contains("{{"));
    }

    #[test]
    fn an_error_in_another_is_referred_to_and_a_computed_text_is_told() {
        let names = BTreeSet::from(["PayloadError"]);
        let other = |name: &str, summary: &str| Text::Other {
            name: name.to_owned(),
            summary: summary.to_owned(),
        };
        let shown = |text| shown(&text, &names);
        assert_eq!(
            shown(other("PayloadError", "A payload.")).unwrap(),
            "see `PayloadError`"
        );
        assert_eq!(shown(other("io", "A file.")).unwrap(), "(A file.)");
        assert_eq!(shown(other("", "")), None);
        assert!(
            shown(other("ProviderError", ""))
                .unwrap()
                .contains("#kinds")
        );
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
