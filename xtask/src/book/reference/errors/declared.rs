//! The errors that a source declares, with their texts.

/// An error.
pub(super) struct Declared {
    pub(super) name: String,
    /// The first sentence of its documentation.
    pub(super) summary: String,
    pub(super) has_variants: bool,
    /// The text of each variant. An error without variants has its own name here.
    pub(super) texts: Vec<(String, Text)>,
}

/// The text of an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// The words, with `{…}` for what is filled in.
    Words(String),
    /// All of it is filled in.
    Other {
        /// The error inside, which has the text. Empty when there is none.
        name: String,
        /// The first sentence of the documentation.
        summary: String,
    },
}

/// The errors of a source, in its order: enums and structs with attributes `#[error(…)]`, and enums whose methods
/// `what_happened` and `remedy` tell the two parts of each text.
pub(super) fn declared(source: &str) -> Vec<Declared> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let (before, rest) = source.split_at(start);
        start += line.len();
        let Some((has_variants, name)) = item(line) else {
            continue;
        };
        let header = before.rsplit("\n\n").next().unwrap_or(before);
        let summary = header_summary(header);
        let texts = if has_variants {
            with_remedies(variants(rest), name, rest)
        } else {
            own_text(header, name, &summary).into_iter().collect()
        };
        if !texts.is_empty() {
            found.push(Declared {
                name: name.to_owned(),
                summary,
                has_variants,
                texts,
            });
        }
    }
    found
}

/// Whether a line begins an enum, or else a struct, and its name.
fn item(line: &str) -> Option<(bool, &str)> {
    let item = match line.strip_prefix("pub") {
        Some(rest) => rest.split_once(' ')?.1,
        None => line,
    };
    let (has_variants, rest) = match item.strip_prefix("enum ") {
        Some(rest) => (true, rest),
        None => (false, item.strip_prefix("struct ")?),
    };
    Some((has_variants, word(rest)))
}

/// The text of a struct, whose attributes are in `header`.
fn own_text(header: &str, name: &str, summary: &str) -> Option<(String, Text)> {
    let (_, attribute) = header.split_once("#[error(")?;
    Some((name.to_owned(), text_of(attribute, "", summary)))
}

/// The variants of an enum, which `rest` begins with, that have a text.
fn variants(rest: &str) -> Vec<(String, Text)> {
    let Some((first, body)) = rest.split_once('\n') else {
        return Vec::new();
    };
    if !first.ends_with(" {") {
        return Vec::new();
    }
    let body = body.split("\n}").next().unwrap_or(body);
    let mut parts = body.split("#[error(");
    let mut before = parts.next().unwrap_or_default();
    let mut found = Vec::new();
    for part in parts {
        let Some((attribute, after)) = part.split_once(")]\n") else {
            continue;
        };
        let summary = summary_above(before);
        before = after;
        let declaration = after
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
        if let Some(declaration) = declaration {
            let name = word(declaration);
            let inner = declaration.strip_prefix(name).unwrap_or_default();
            let text = text_of(attribute, error_inside(inner), &summary);
            found.push((name.to_owned(), text));
        }
    }
    found
}

/// The texts with what to do, where a method `remedy` of the error tells it apart. What happened may be told by a method,
/// too.
fn with_remedies(texts: Vec<(String, Text)>, name: &str, source: &str) -> Vec<(String, Text)> {
    let methods = source.split_once(&format!("\nimpl {name} {{\n"));
    let (_, methods) = methods.unwrap_or_default();
    let methods = methods.split("\n}\n").next().unwrap_or(methods);
    let remedies = arms(methods, "fn remedy(&self");
    let texts = if texts.is_empty() {
        let told = arms(methods, "fn what_happened(&self").into_iter();
        told.filter(|(_, words)| !words.is_empty())
            .map(|(variant, words)| (variant, Text::Words(words)))
            .collect()
    } else {
        texts
    };
    let with_remedy = |(variant, text): (String, Text)| {
        let remedy = remedies.iter().find(|(of, _)| *of == variant);
        let text = match (text, remedy) {
            (Text::Words(words), Some((_, remedy))) if !remedy.is_empty() => {
                Text::Words(format!("{words}; {remedy}"))
            }
            (text, _) => text,
        };
        (variant, text)
    };
    texts.into_iter().map(with_remedy).collect()
}

/// The arms `Self::VARIANT => "text"` of the function that begins with `start`. A text may be in a `format!`. An arm with
/// another value has an empty text.
pub(super) fn arms(source: &str, start: &str) -> Vec<(String, String)> {
    let Some((_, rest)) = source.split_once(start) else {
        return Vec::new();
    };
    let body = rest.split("\n    }\n").next().unwrap_or(rest);
    body.split("Self::")
        .skip(1)
        .scan(Vec::new(), |waiting, part| {
            waiting.push(word(part).to_owned());
            // `A | B => "text"` is one arm of two variants.
            let found = match part.split_once("=>") {
                Some((_, after)) => {
                    let value = after.trim_start().trim_start_matches('{').trim_start();
                    let text = literal(value.trim_start_matches("format!(")).unwrap_or_default();
                    waiting.drain(..).map(|name| (name, text.clone())).collect()
                }
                None => Vec::new(),
            };
            Some(found)
        })
        .flatten()
        .collect()
}

fn text_of(attribute: &str, inside: &str, summary: &str) -> Text {
    match literal(attribute).filter(|text| has_words(text)) {
        Some(words) => Text::Words(words),
        None => Text::Other {
            name: inside.to_owned(),
            summary: summary.to_owned(),
        },
    }
}

/// The type in `(#[from] PayloadError),`, if it is one of ours.
fn error_inside(fields: &str) -> &str {
    let Some(field) = fields.strip_prefix('(') else {
        return "";
    };
    let field = match field.strip_prefix("#[") {
        Some(attribute) => attribute.split_once("] ").map_or("", |(_, field)| field),
        None => field,
    };
    let field = field.strip_prefix("Box<").unwrap_or(field);
    let field = field.strip_prefix("temporal_kms_codec::").unwrap_or(field);
    let name = word(field);
    let is_foreign = field
        .strip_prefix(name)
        .is_some_and(|rest| rest.starts_with("::"));
    if is_foreign { "" } else { name }
}

/// Whether there is a word outside of the places that are filled in.
fn has_words(text: &str) -> bool {
    let mut depth = 0_u32;
    text.chars().any(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && character.is_alphabetic()
    })
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

/// The first sentence of the documentation at the beginning of an item's header.
fn header_summary(header: &str) -> String {
    let lines = header.lines().map(str::trim);
    let docs = lines
        .skip_while(|line| !line.starts_with("///"))
        .take_while(|line| line.starts_with("///"));
    first_sentence(docs)
}

/// The first sentence of the documentation that `text` ends with, before other attributes.
fn summary_above(text: &str) -> String {
    let lines = text.lines().rev().map(str::trim);
    let docs: Vec<&str> = lines
        .skip_while(|line| line.is_empty() || line.starts_with("#["))
        .take_while(|line| line.starts_with("///"))
        .collect();
    first_sentence(docs.into_iter().rev())
}

fn first_sentence<'l>(docs: impl Iterator<Item = &'l str>) -> String {
    let words: Vec<&str> = docs
        .map(|line| line.trim_start_matches("///").trim())
        .take_while(|line| !line.is_empty())
        .collect();
    let text = without_links(&words.join(" "));
    match text.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => text,
    }
}

/// The text of links in place of them: they lead into the documentation of the code.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((name, after)) = link.split_once("`]") else {
            break;
        };
        plain.push_str(before);
        plain.push('`');
        plain.push_str(name);
        plain.push('`');
        rest = match after.strip_prefix('(') {
            Some(target) => target.split_once(')').map_or("", |(_, after)| after),
            None => after,
        };
    }
    plain.push_str(rest);
    plain
}

/// The name that `text` begins with.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<String> {
        let shown = |(name, text): &(String, Text)| match text {
            Text::Words(words) => format!("{name}: {words}"),
            Text::Other { name: of, summary } => format!("{name} <{of}> {summary}"),
        };
        let errors = declared(source);
        errors
            .iter()
            .flat_map(|error| error.texts.iter().map(shown))
            .collect()
    }

    #[test]
    fn variants_have_their_texts() {
        let source = r#"
/// Why not. More.
#[derive(thiserror::Error)]
pub(super) enum PayloadError {
    /// One.
    #[error("it is {0}")]
    One(u8),
    /// Two.
    #[error(
        "first \
         second"
    )]
    Two {
        /// X.
        x: u8,
    },
    #[error(transparent)]
    Three(#[from] Box<Other>),
    #[error("{}", say(x))]
    /// Below.
    Four,
    /// Five of [`Payload`](crate::Payload). More.
    #[error("{0}")]
    Five(#[source] io::Error),
    #[error(transparent)]
    Six(temporal_kms_codec::Error),
}
"#;
        assert_eq!(
            texts(source),
            [
                "One: it is {0}",
                "Two: first second",
                "Three <Other> ",
                "Four <> ",
                "Five <> Five of `Payload`.",
                "Six <Error> ",
            ]
        );
        let error = &declared(source)[0];
        assert_eq!(
            (&*error.name, &*error.summary, error.has_variants),
            ("PayloadError", "Why not.", true)
        );
    }

    #[test]
    fn what_to_do_may_be_told_by_a_method() {
        let source = r#"
#[derive(thiserror::Error)]
enum FileError {
    #[error("{0} is not a folder")]
    NotAFolder(String),
    #[error("others can read {0}")]
    Open(String),
    #[error("there is no {0}")]
    NoFile(String),
    #[error("cannot read it: {0}")]
    Io(Kind),
}

impl FileError {
    fn remedy(&self, create: &str) -> Cow<'static, str> {
        match self {
            Self::NotAFolder(_) => "name a folder".into(),
            Self::Open(path) => {
                format!("run `chmod 600 {path}`").into()
            }
            Self::NoFile(_) => format!("create it: {create}").into(),
            Self::Io(kind) => of_kind(*kind).into(),
        }
    }
}
"#;
        assert_eq!(
            texts(source),
            [
                "NotAFolder: {0} is not a folder; name a folder",
                "Open: others can read {0}; run `chmod 600 {path}`",
                "NoFile: there is no {0}; create it: {create}",
                "Io: cannot read it: {0}",
            ]
        );
    }

    #[test]
    fn both_parts_may_be_told_by_methods() {
        let source = r#"
#[derive(thiserror::Error)]
#[error("{}; {}", self.what_happened(), self.remedy())]
pub enum LogError {
    /// One.
    NoFolder(PathBuf),
    /// Two.
    Io { source: io::Error },
}

impl LogError {
    pub fn what_happened(&self) -> Cow<'static, str> {
        match self {
            Self::NoFolder(path) => {
                format!("there is no {}", path.display()).into()
            }
            Self::Io { source } => format!("cannot read it: {source}").into(),
        }
    }

    pub fn remedy(&self) -> Cow<'static, str> {
        match self {
            Self::NoFolder(_) => "create it".into(),
            Self::Io { source } => remedy_of(source.kind()).into(),
        }
    }
}
"#;
        assert_eq!(
            texts(source),
            [
                "NoFolder: there is no {}; create it",
                "Io: cannot read it: {source}",
            ]
        );
    }

    #[test]
    fn an_error_without_variants_has_one_text() {
        let source = "\n/// A key.\n#[derive(Error)]\n#[error(\"no key; make {one}\")]\npub struct NoKey {\n    one: u8,\n}\n\n\
                      pub struct NoError;\n\n/// Told.\n#[error(\"{a}{b}\")]\nstruct Told(u8);\n";
        assert_eq!(
            texts(source),
            ["NoKey: no key; make {one}", "Told <> Told."]
        );
        assert!(!declared(source)[0].has_variants);
    }
}
