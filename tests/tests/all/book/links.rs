//! Links between documents.

use std::{collections::BTreeMap, fs};

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

#[test]
fn every_file_that_a_document_names_exists() {
    let folders = folders();
    let mut wrong = Vec::new();
    for document in documents::all() {
        for path in named_files(&document.text, &folders) {
            if !exists(&document, &path) {
                wrong.push(format!("{}: `{path}` does not exist", document.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The folders of the project's root.
fn folders() -> Vec<String> {
    let entries = fs::read_dir(root()).expect("the root can be listed");
    let folders = entries
        .map(|entry| entry.expect("an entry can be read"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    folders
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect()
}

/// The files and folders of this project that a document names as code, or in the comment above a block.
fn named_files(text: &str, folders: &[String]) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        inside ^= is_fence;
        if inside || is_fence {
            continue;
        }
        let code = line.split('`').skip(1).step_by(2);
        let comment = line.trim_start().strip_prefix("<!--").unwrap_or_default();
        let names = code.chain(comment.split_whitespace());
        found.extend(names.filter_map(|name| project_path(name, folders)));
    }
    found
}

/// The path in a name such as `kms/core/src/setting.rs::test`. `NAME` is a place to fill in.
fn project_path(name: &str, folders: &[String]) -> Option<String> {
    let path = name
        .split("::")
        .next()?
        .trim_end_matches(['/', '.', ',', ';']);
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    let (first, _) = path.split_once('/')?;
    let is_ours = folders.iter().any(|folder| folder == first);
    let is_path = is_ours && path.chars().all(is_plain) && !path.contains("NAME");
    is_path.then(|| path.to_owned())
}

/// Whether a path exists below the root, or below a folder that the document is in.
fn exists(document: &Document, path: &str) -> bool {
    let file = root().join(&document.path);
    let mut above = file.ancestors().skip(1);
    above.any(|folder| folder.starts_with(root()) && folder.join(path).exists())
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
fn names_of_files_are_found_in_code_and_comments() {
    let text = "`a/b.rs::test` a/c.rs `x/d.rs` `a/NAME/e.rs` `a/*.rs` `a`\n```\n`a/f.rs`\n```\n\
                <!-- not run here: no cloud; a/g.rs does it -->\n`a/h/`\n";
    let found = named_files(text, &["a".to_owned()]);
    assert_eq!(found, ["a/b.rs", "a/g.rs", "a/h"]);
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
