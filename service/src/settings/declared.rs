//! What a program reads from its configuration, found by letting it read: names, variables and the form of values.

use std::cell::RefCell;

/// A text that no parser of a number, a time or a name accepts.
const NONSENSE: &str = "\u{2205} nonsense \u{2205}";

/// One setting that a program reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Declared {
    /// Its name with its section, such as `server.listen`. A name that the user chooses is `*`: `namespaces.*.encrypt`.
    pub setting: String,
    /// The environment variable over it.
    pub variable: Option<String>,
    /// The forms that its value can have, at least one.
    pub forms: Vec<Form>,
}

/// The form of a setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// `true` or `false`.
    Flag,
    /// A whole number, zero or more.
    Number,
    /// A time with its unit, such as `30s`.
    Time,
    /// A number of bytes, such as `4MiB`.
    Size,
    /// One of these names.
    Choice(Vec<String>),
    /// A text.
    Text,
    /// A list of values of one form.
    List(Box<Form>),
    /// A table of names and texts that the user chooses.
    Pairs,
    /// A table of names that the user chooses, each with a list of texts.
    Lists,
}

impl Form {
    /// The form of the texts that `parse` accepts. The parser itself is asked, so the two cannot differ.
    pub(super) fn of(parse: &dyn Fn(&str) -> Result<(), String>) -> Self {
        let accepts = |text: &str| parse(text).is_ok();
        let Err(reason) = parse(NONSENSE) else {
            return Self::Text;
        };
        if accepts("true") && accepts("false") {
            Self::Flag
        } else if accepts("1h") {
            Self::Time
        } else if accepts("1MiB") {
            Self::Size
        } else if accepts("1") || accepts("16") {
            Self::Number
        } else {
            Self::of_choice(&reason, &accepts)
        }
    }

    /// A parser of names lists them in its error, such as "it must be `fail` or `placeholder`".
    fn of_choice(reason: &str, accepts: &dyn Fn(&str) -> bool) -> Self {
        let quoted = reason.split('`').skip(1).step_by(2);
        let names: Vec<String> = quoted
            .filter(|name| accepts(name))
            .map(str::to_owned)
            .collect();
        // One name alone is an example.
        if names.len() < 2 {
            Self::Text
        } else {
            Self::Choice(names)
        }
    }

    /// What it is called in a text for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Flag => "true or false".to_owned(),
            Self::Number => "a whole number".to_owned(),
            Self::Time => "a time with its unit, such as 30s".to_owned(),
            Self::Size => "a number of bytes, such as 4MiB".to_owned(),
            Self::Choice(names) => names.join(" | "),
            Self::Text => "a text".to_owned(),
            Self::List(items) => match &**items {
                Self::Text => "a list of texts".to_owned(),
                form => format!("a list, each item {}", form.describe()),
            },
            Self::Pairs => "a table of names and texts".to_owned(),
            Self::Lists => "a table of names and lists of texts".to_owned(),
        }
    }
}

/// Notes what is read, where it is asked for.
#[derive(Debug, Default)]
pub(super) struct Recorder(RefCell<Vec<Declared>>);

impl Recorder {
    pub(super) fn note(&self, setting: String, variable: Option<String>, form: Form) {
        let mut noted = self.0.borrow_mut();
        match noted.iter_mut().find(|known| known.setting == setting) {
            Some(known) if !known.forms.contains(&form) => known.forms.push(form),
            Some(_) => {}
            None => noted.push(Declared {
                setting,
                variable,
                forms: vec![form],
            }),
        }
    }

    pub(super) fn into_noted(self) -> Vec<Declared> {
        self.0.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Document, Settings, values};

    fn form<T>(parse: impl Fn(&str) -> Result<T, String>) -> Form {
        Form::of(&|text| parse(text).map(drop))
    }

    #[test]
    fn a_parser_tells_the_form_of_its_texts() {
        assert_eq!(form(values::flag), Form::Flag);
        assert_eq!(form(values::count), Form::Number);
        assert_eq!(form(values::permits), Form::Number);
        assert_eq!(form(values::duration), Form::Time);
        assert_eq!(form(values::timeout), Form::Time);
        assert_eq!(form(values::bytes), Form::Size);
        assert_eq!(form(values::absolute_path), Form::Text);
        assert_eq!(form(|text| Ok(text.to_owned())), Form::Text);
        let names = form(|text| match text {
            "fail" | "placeholder" => Ok(()),
            _ => Err("it must be `fail` or `placeholder`; see `docs`".to_owned()),
        });
        assert_eq!(
            names,
            Form::Choice(vec!["fail".to_owned(), "placeholder".to_owned()])
        );
        let example = form(|text| match text {
            "/codec" => Ok(()),
            _ => Err("expected a path such as `/codec`".to_owned()),
        });
        assert_eq!(example, Form::Text);
    }

    #[test]
    fn everything_that_is_read_is_declared_with_its_variable() {
        let read = |document: &Document<'_>| {
            let mut section = document.section("server");
            let _ = section.value("timeout", values::timeout);
            let _ = section.list("hosts", |text| Ok(text.to_owned()));
            let mut inner = section.table("calls");
            let _ = inner.value("attempts", values::count);
            for (_, mut named) in document.named_sections("namespaces") {
                let _ = named.pairs("context");
                let _ = named.value("either", values::flag);
                let _ = named.list("either", |text| Ok(text.to_owned()));
            }
        };
        let declared = Settings::new("EXAMPLE_").describe(read);
        let shown: Vec<_> = declared
            .iter()
            .map(|one| {
                (
                    one.setting.as_str(),
                    one.variable.as_deref(),
                    one.forms.len(),
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("server.timeout", Some("EXAMPLE_SERVER_TIMEOUT"), 1),
                ("server.hosts", Some("EXAMPLE_SERVER_HOSTS"), 1),
                ("server.calls.attempts", None, 1),
                ("namespaces.*.context", None, 1),
                ("namespaces.*.either", None, 2),
            ]
        );
    }
}
