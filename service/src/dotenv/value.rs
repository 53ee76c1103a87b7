//! The variables of a `.env` file and their values. Only what every reader of such files understands alike is accepted.

use super::syntax::{assignment, split_entry, split_mark, split_value};

/// Larger than any list of settings.
const MAX_VARIABLES: usize = 1000;

/// Why a line cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// The line's number, from 1.
    pub(super) line: usize,
    pub(super) problem: &'static str,
}

/// The variables that `is_wanted` accepts, in the order of the file. Of a variable that is set twice, the last value counts.
/// Mistakes in other variables do not matter: other programs may read them in their own way.
pub(super) fn variables(
    text: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(String, String)>, Mistake> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut rest = split_mark(text).1;
    let mut line = 1;
    while !rest.is_empty() {
        let (entry, after) = split_entry(rest);
        rest = after;
        let mistake = |problem| Mistake { line, problem };
        if let Some((name, assigned)) = assignment(entry) {
            let quote = assigned.chars().next().filter(|c| matches!(c, '"' | '\''));
            if quote.is_some_and(|quote| split_value(assigned).0.starts_with(quote)) {
                // Where the value ends, and which variables follow it, would be a guess.
                return Err(mistake(
                    "the quote at the beginning of the value has no end",
                ));
            }
            if is_wanted(name) {
                let value = value(assigned).map_err(mistake)?;
                found.retain(|(known, _)| known != name);
                if found.len() == MAX_VARIABLES {
                    return Err(mistake("the file has too many variables"));
                }
                found.push((name.to_owned(), value));
            }
        }
        line += entry.matches('\n').count();
    }
    Ok(found)
}

/// The names that a text sets, each once and in its order. Values are not looked at.
pub(super) fn names(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = split_mark(text).1;
    while !rest.is_empty() && found.len() < MAX_VARIABLES {
        let (entry, after) = split_entry(rest);
        rest = after;
        if let Some((name, _)) = assignment(entry)
            && !found.contains(&name)
        {
            found.push(name);
        }
    }
    found
}

/// The text after `NAME=`, without quotes, escapes and comment.
fn value(assigned: &str) -> Result<String, &'static str> {
    let (inner, tail) = split_value(assigned);
    let follows = tail.trim_start();
    let is_comment = follows.starts_with('#') && follows.len() < tail.len();
    if !follows.is_empty() && !is_comment {
        return Err("text follows the value; put all of the value into single quotes");
    }
    let value = match assigned.chars().next() {
        Some('\'') => inner.to_owned(),
        Some('"') => unescaped(inner)?,
        _ if inner.starts_with('#') || inner.contains(['"', '\'', '\\']) => {
            return Err("the value holds `#`, a quote or a backslash; put it into single quotes");
        }
        _ => without_references(inner)?.to_owned(),
    };
    if value.contains('\0') {
        return Err("the value holds a NUL character, which no variable can hold");
    }
    Ok(value)
}

/// The text of double quotes.
fn unescaped(inner: &str) -> Result<String, &'static str> {
    let mut value = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        value.push_str(without_references(plain)?);
        let mut characters = escaped.chars();
        value.push(match characters.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(c @ ('"' | '\\' | '$' | '`')) => c,
            _ => return Err("the value holds an unknown escape; put the value into single quotes"),
        });
        rest = characters.as_str();
    }
    value.push_str(without_references(rest)?);
    Ok(value)
}

/// Shells and Docker Compose would put other values there.
fn without_references(text: &str) -> Result<&str, &'static str> {
    if text.contains(['$', '`']) {
        return Err(
            "the value refers to something else by `$`; write the value itself, or put it into single quotes",
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(String, String)>, Mistake> {
        variables(text, |name| name != "FOREIGN")
    }

    fn one(text: &str) -> Result<String, &'static str> {
        match all(text) {
            Ok(variables) => {
                let [(name, value)] = variables.as_slice() else {
                    panic!("{text}: {variables:?}");
                };
                assert_eq!(name, "A");
                Ok(value.clone())
            }
            Err(mistake) => Err(mistake.problem),
        }
    }

    #[test]
    fn values_are_read_as_shells_and_docker_compose_read_them() {
        for (text, expected) in [
            ("A=1", "1"),
            ("A=1\r\n", "1"),
            ("\u{feff}A=1\n", "1"),
            ("  export A=1 # mine\n", "1"),
            ("A=\n", ""),
            ("A= # none\n", ""),
            ("A=a#b\n", "a#b"),
            ("A=''\n", ""),
            ("A='a b $C \"' # mine\n", "a b $C \""),
            ("A=\"a b\\n\\t\\\"\\\\\\$\"\n", "a b\n\t\"\\$"),
            ("A='-----\nB=2\n-----'\n", "-----\nB=2\n-----"),
            ("A=1\nA=2\n", "2"),
            ("# B=1\n\nnonsense\nA=gcp-kms://p/k,l\n", "gcp-kms://p/k,l"),
            ("FOREIGN=${HOME} x\nA=1\n", "1"),
        ] {
            assert_eq!(one(text).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn every_name_is_listed_once() {
        let text = "\u{feff}A=1\n# B=2\nexport C='D=3\nE=4'\nA=5\nnonsense\n";
        assert_eq!(names(text), ["A", "C"]);
    }

    #[test]
    fn what_readers_understand_differently_is_refused() {
        for (text, problem) in [
            ("A=a b\n", "text follows"),
            ("A='a'b\n", "text follows"),
            ("A='a'# b\n", "text follows"),
            ("A=#b\n", "`#`"),
            ("A=$B\n", "by `$`"),
            ("A=\"${B}\"\n", "by `$`"),
            ("A=\"`id`\"\n", "by `$`"),
            ("A=a\\b\n", "a backslash"),
            ("A=\"\\x\"\n", "escape"),
            ("A=\"a\nB=1\n", "no end"),
            ("FOREIGN='a\nA=1\n", "no end"),
            ("A=a\0b\n", "NUL"),
        ] {
            let refused = one(text).expect_err(text);
            assert!(refused.contains(problem), "{text:?}: {refused}");
        }
    }

    #[test]
    fn a_mistake_has_its_line() {
        let mistake = all("B='1\n2'\n\nA=a b\n").expect_err("a mistake");
        assert_eq!(mistake.line, 4);
        let many = (0..=MAX_VARIABLES).fold(String::new(), |text, n| text + &format!("A{n}=1\n"));
        let mistake = all(&many).expect_err("too many");
        assert_eq!(mistake.line, MAX_VARIABLES + 1);
    }
}
