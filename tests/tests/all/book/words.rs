//! Words that made the documents and the help hard to read.

use super::{blocks::prose, documents};

/// A habit, and what to write.
const HABITS: [(&str, &str); 14] = [
    ("whoever", "name the person"),
    ("whatever", "name the thing"),
    (" is no ", "`is not a …` or `has no …`"),
    (" are no ", "`are not …` or `have no …`"),
    (" has none", "`has no …`"),
    ("none of which", "say it positively"),
    (" stands in ", "`is stored in`"),
    (" stands for ", "`means`"),
    (" comes to ", "`becomes`, `reaches`"),
    (" goes by ", "`is called`"),
    (" is away", "`is unreachable`"),
    (" are away", "`are unreachable`"),
    ("what it stands", "name the thing"),
    ("somebody", "`a person`, `a user`, `an attacker`"),
];

#[test]
fn documents_are_in_plain_words() {
    let mut found = Vec::new();
    for document in documents::all() {
        if !document.is_generated() {
            find(&document.path, &prose(&document.text), &mut found);
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What `--help`, rustdoc and errors show.
#[test]
fn sources_are_in_plain_words() {
    let mut found = Vec::new();
    for source in documents::sources() {
        find(&source.path, &shown(&source.text), &mut found);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A source without code in backquotes, and without comments that only its readers see.
fn shown(source: &str) -> String {
    let mut shown = String::new();
    for line in source.lines() {
        let is_shown = |beginning: &str| line.trim_start().starts_with(beginning);
        if !is_shown("//") || is_shown("///") || is_shown("//!") {
            shown.extend(line.split('`').step_by(2));
        }
        shown.push('\n');
    }
    shown
}

/// Adds each habit in `text` to what was found.
fn find(path: &str, text: &str, found: &mut Vec<String>) {
    for (position, line) in text.lines().enumerate() {
        let line = line.to_lowercase();
        let line = line
            .replace("there is no ", "")
            .replace("is no longer", "")
            .replace("there are no ", "");
        for (habit, better) in HABITS.iter().filter(|(habit, _)| line.contains(habit)) {
            found.push(format!(
                "{path}:{}: `{}`: write {better}",
                position + 1,
                habit.trim()
            ));
        }
    }
}

#[test]
fn only_what_users_see_of_a_source_counts() {
    let source = "//! A `whatever` b\n// somebody\n    /// C\nlet d = \"e\";\n";
    assert_eq!(shown(source), "//! A  b\n\n    /// C\nlet d = \"e\";\n");
}
