//! Links between documents.

use std::collections::BTreeMap;

use super::{
    blocks::prose,
    documents::{self, Document, root},
};

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    let all = documents::all();
    let headings: BTreeMap<&str, Vec<String>> = all
        .iter()
        .map(|document| (&*document.path, headings(&document.text)))
        .collect();
    let mut wrong = Vec::new();
    for document in &all {
        for target in links(&document.text) {
            if let Some(reason) = check(document, &target, &headings) {
                wrong.push(format!("{}: `{target}` {reason}", document.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_summary_lists_every_page_of_the_book_once() {
    let summary = documents::document("docs/SUMMARY.md");
    let mut listed = links(&summary.text);
    listed.sort();
    let pages: Vec<String> = documents::all()
        .iter()
        .filter_map(|document| document.path.strip_prefix("docs/"))
        .filter(|page| *page != "SUMMARY.md")
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, pages);
}

/// What is wrong with a link of a document.
fn check(
    document: &Document,
    target: &str,
    headings: &BTreeMap<&str, Vec<String>>,
) -> Option<&'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        document.path.clone()
    } else {
        resolve(&document.path, file)?
    };
    if document.path.starts_with("docs/") && !path.starts_with("docs/") {
        return Some("leads out of the book");
    }
    if !root().join(&path).exists() {
        return Some("does not exist");
    }
    let known = headings
        .get(&*path)
        .is_some_and(|headings| headings.iter().any(|heading| heading == anchor));
    (!anchor.is_empty() && !known).then_some("has no such heading")
}

/// The path of `file` as seen from the document at `from`.
fn resolve(from: &str, file: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The targets of a document's links and pictures.
fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// The names that links give to a document's headings: lower case, spaces as `-`, and no other sign but `-` and `_`.
fn headings(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        inside ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if inside || title == line || !title.starts_with(' ') {
            continue;
        }
        let name: String = title
            .trim()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter))
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect();
        let name = name.to_lowercase();
        let same = found.iter().filter(|other| **other == name).count();
        found.push(if same == 0 {
            name
        } else {
            format!("{name}-{same}")
        });
    }
    found
}

#[test]
fn headings_are_named_as_renderers_name_them() {
    let text = "# One: two, `three`!\n```\n# no\n```\n## PKCS#11\n## PKCS#11\n";
    assert_eq!(headings(text), ["one-two-three", "pkcs11", "pkcs11-1"]);
    assert_eq!(
        links("[a](b.md#c) and `[x](y)` ![p](q.svg)"),
        ["b.md#c", "q.svg"]
    );
    assert_eq!(
        resolve("docs/a/b.md", "../c.md").as_deref(),
        Some("docs/c.md")
    );
    assert_eq!(resolve("a.md", "../b.md"), None);
}
