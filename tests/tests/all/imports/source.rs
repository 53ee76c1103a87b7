//! Reads what a Rust source file imports, without compiling it.

/// A path of the file that may lead to another module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Its segments as they are written: `crate`, `super`, names.
    pub(super) segments: Vec<String>,
    /// The name that a `use` gives it in the file.
    pub(super) name: Option<String>,
    /// Whether the file only passes it on, by `pub use` or `pub(crate) use`.
    pub(super) is_reexport: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Mark(char),
}

/// The paths of `use` declarations and those within the code. What is compiled for tests only is left out.
pub(super) fn paths(source: &str) -> Vec<Path> {
    let tokens = without_tests(&tokens(source));
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            Token::Word(word) if word == "use" => {
                let end = position(&tokens, at, ';');
                let is_reexport = before(&tokens, at) == Some("pub");
                let mut rest = tokens.get(at + 1..end).unwrap_or_default();
                use_tree(&mut rest, &[], is_reexport, &mut found);
                at = end;
            }
            Token::Word(_) if !is_continued(&tokens, at) => {
                let segments = segments(&tokens, at);
                at += 3 * (segments.len() - 1);
                if segments.len() > 1 {
                    found.push(Path {
                        segments,
                        name: None,
                        is_reexport: false,
                    });
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one tree of a `use` declaration: `a::b`, `a::{b, c as d}`, `a::*`.
fn use_tree(rest: &mut &[Token], prefix: &[String], is_reexport: bool, found: &mut Vec<Path>) {
    let mut path = prefix.to_vec();
    let mut name = None;
    loop {
        match rest {
            [Token::Mark('{'), after @ ..] => {
                *rest = after;
                while !matches!(rest, [] | [Token::Mark('}'), ..]) {
                    use_tree(rest, &path, is_reexport, found);
                    if let [Token::Mark(','), after @ ..] = rest {
                        *rest = after;
                    }
                }
                *rest = rest.get(1..).unwrap_or_default();
                return;
            }
            [Token::Word(word), Token::Word(alias), after @ ..] if word == "as" => {
                name = Some(alias.clone());
                *rest = after;
            }
            [Token::Word(word), after @ ..] => {
                // `a::{self}` names `a`.
                if word != "self" || path.is_empty() {
                    path.push(word.clone());
                }
                *rest = after;
            }
            [Token::Mark(':' | '*'), after @ ..] => *rest = after,
            _ => break,
        }
    }
    found.push(Path {
        name: name.or_else(|| path.last().cloned()),
        segments: path,
        is_reexport,
    });
}

/// `a::b::c` from `at` on.
fn segments(tokens: &[Token], at: usize) -> Vec<String> {
    let mut segments = Vec::new();
    let mut rest = tokens.get(at..).unwrap_or_default();
    while let [Token::Word(word), after @ ..] = rest {
        segments.push(word.clone());
        match after {
            [Token::Mark(':'), Token::Mark(':'), after @ ..] => rest = after,
            _ => break,
        }
    }
    segments
}

/// Whether the word at `at` follows `::` or `.`, so that it does not begin a path.
fn is_continued(tokens: &[Token], at: usize) -> bool {
    matches!(
        tokens.get(..at).unwrap_or_default(),
        [.., Token::Mark('.')] | [.., Token::Mark(':'), Token::Mark(':')]
    )
}

/// The word before `at`, over `(crate)`.
fn before(tokens: &[Token], at: usize) -> Option<&str> {
    let mut at = at.checked_sub(1)?;
    if tokens.get(at) == Some(&Token::Mark(')')) {
        at = at.checked_sub(3)?;
    }
    match tokens.get(at) {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    }
}

fn position(tokens: &[Token], from: usize, mark: char) -> usize {
    let rest = tokens.iter().skip(from);
    let after = rest
        .take_while(|token| **token != Token::Mark(mark))
        .count();
    from + after
}

/// Leaves out every item below `#[cfg(test)]` or `#[cfg(any(test, …))]`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if is_test_attribute(tokens.get(at..).unwrap_or_default()) {
            at = end_of_item(tokens, position(tokens, at, ']') + 1);
            continue;
        }
        kept.push(token.clone());
        at += 1;
    }
    kept
}

fn is_test_attribute(tokens: &[Token]) -> bool {
    let mut words = tokens.iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.as_str()),
        Token::Mark(_) => None,
    });
    matches!(tokens, [Token::Mark('#'), Token::Mark('['), ..])
        && words.next() == Some("cfg")
        && matches!(
            (words.next(), words.next()),
            (Some("test"), _) | (Some("any"), Some("test"))
        )
}

/// Where the item ends that begins at `from`: after its `;` or its block.
fn end_of_item(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token {
            Token::Mark('{' | '(' | '[') => depth += 1,
            Token::Mark(')' | ']') => depth = depth.saturating_sub(1),
            Token::Mark('}') => {
                depth = depth.saturating_sub(1);
                // The braces of `use a::{b};` do not end it.
                if depth == 0 && tokens.get(at + 1) != Some(&Token::Mark(';')) {
                    return at + 1;
                }
            }
            Token::Mark(';') if depth == 0 => return at + 1,
            Token::Mark(_) | Token::Word(_) => {}
        }
    }
    tokens.len()
}

/// Words and marks, without comments and literals.
fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(character) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = after(rest, "\n");
        } else if rest.starts_with("/*") {
            rest = after(rest, "*/");
        } else if let Some(hashes) = raw_string(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            rest = after(after(rest, "\""), &end);
        } else if character == '"' {
            rest = after_string(rest.get(1..).unwrap_or_default());
        } else if character == '\'' {
            rest = after_character(rest);
        } else if character.is_alphanumeric() || character == '_' {
            let end = rest
                .find(|character: char| !character.is_alphanumeric() && character != '_')
                .unwrap_or(rest.len());
            let (word, remaining) = rest.split_at(end);
            tokens.push(Token::Word(word.to_owned()));
            rest = remaining;
        } else {
            if !character.is_whitespace() {
                tokens.push(Token::Mark(character));
            }
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
        }
    }
    tokens
}

fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

/// The number of `#` with which a raw string begins here.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let quote = rest.trim_start_matches('#');
    quote.starts_with('"').then_some(rest.len() - quote.len())
}

fn after_string(mut rest: &str) -> &str {
    while let Some(end) = rest.find(['"', '\\']) {
        let is_end = rest.get(end..).is_some_and(|rest| rest.starts_with('"'));
        let skipped = rest.get(end + 1..).unwrap_or_default();
        if is_end {
            return skipped;
        }
        let mut escaped = skipped.chars();
        escaped.next();
        rest = escaped.as_str();
    }
    ""
}

/// Skips `'x'`, `'\n'`, or the quote of a lifetime.
fn after_character(text: &str) -> &str {
    let mut characters = text.chars();
    characters.next();
    match characters.next() {
        Some('\\') => {
            characters.next();
            after(characters.as_str(), "'")
        }
        Some(_) if characters.as_str().starts_with('\'') => {
            characters.next();
            characters.as_str()
        }
        _ => text.get(1..).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> Vec<String> {
        paths(source)
            .into_iter()
            .map(|path| {
                let mark = if path.is_reexport { "pub " } else { "" };
                let path_text = path.segments.join("::");
                match path.name {
                    Some(name) if path.segments.last() != Some(&name) => {
                        format!("{mark}{path_text} as {name}")
                    }
                    _ => format!("{mark}{path_text}"),
                }
            })
            .collect()
    }

    #[test]
    fn use_trees_and_inline_paths_are_read() {
        let source = r#"
            //! use crate::comment;
            pub use self::a::{B, c::{self, D as E}};
            pub(crate) use x::Y;
            use super::*;
            #[cfg(test)]
            mod tests { use crate::hidden::H; }
            #[cfg(test)]
            use crate::{hidden::{I}, J};
            fn f<'a>(text: &'a str) -> crate::error::Error {
                let c = ('"', "use crate::string;", r"crate::raw::x\", b'\'');
                text.crate_like(); child::make(c)
            }
        "#;
        assert_eq!(
            shown(source),
            [
                "pub self::a::B",
                "pub self::a::c",
                "pub self::a::c::D as E",
                "pub x::Y",
                "super",
                "crate::error::Error",
                "child::make",
            ]
        );
    }
}
