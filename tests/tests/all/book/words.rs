//! Words that made the documents hard to read.

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
        if document.is_generated() {
            continue;
        }
        for (position, line) in prose(&document.text).lines().enumerate() {
            let line = line.to_lowercase();
            let line = line
                .replace("there is no ", "")
                .replace("is no longer", "")
                .replace("there are no ", "");
            for (habit, better) in HABITS.iter().filter(|(habit, _)| line.contains(habit)) {
                found.push(format!(
                    "{}:{}: `{}`: write {better}",
                    document.path,
                    position + 1,
                    habit.trim()
                ));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
