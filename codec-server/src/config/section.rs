//! One table of the file with the environment over it: typed settings come out, mistakes are collected.

use std::{cell::RefCell, collections::BTreeMap};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::problem::{Place, Problem};

/// Reads an environment variable; tests put a map in its place.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What all sections of one configuration share.
pub(super) struct Source<'d> {
    pub(super) text: &'d str,
    pub(super) environment: Environment<'d>,
    pub(super) problems: RefCell<Vec<Problem>>,
}

impl Source<'_> {
    pub(super) fn line(&self, offset: usize) -> Place {
        let before = self
            .text
            .as_bytes()
            .get(..offset)
            .unwrap_or(self.text.as_bytes());
        Place::Line(before.split(|byte| *byte == b'\n').count())
    }

    pub(super) fn report(&self, place: Place, setting: &str, message: impl Into<String>) {
        self.problems.borrow_mut().push(Problem {
            place,
            setting: setting.to_owned(),
            message: message.into(),
        });
    }
}

/// A table, and the keys that were asked for so far.
pub(super) struct Section<'d> {
    source: &'d Source<'d>,
    path: String,
    place: Place,
    table: Option<&'d DeTable<'d>>,
    /// What its environment variables start with; none for tables whose names are the user's.
    prefix: Option<String>,
    known: Vec<&'static str>,
}

/// A setting as it was written.
enum Written<'d> {
    Variable(String),
    Value(&'d DeValue<'d>),
}

impl<'d> Section<'d> {
    /// A section whose settings have environment variables.
    pub(super) fn with_variables(
        source: &'d Source<'d>,
        name: &'static str,
        found: Option<&'d Spanned<DeValue<'d>>>,
    ) -> Self {
        let mut section = Self::new(source, name.to_owned(), found);
        section.prefix = Some(format!("CODEC_{}_", name.to_uppercase()));
        section
    }

    pub(super) fn new(
        source: &'d Source<'d>,
        path: String,
        found: Option<&'d Spanned<DeValue<'d>>>,
    ) -> Self {
        let place = source.line(found.map_or(0, |value| value.span().start));
        let table = found.and_then(|value| value.get_ref().as_table());
        if found.is_some() && table.is_none() {
            source.report(place.clone(), &path, "expected a table");
        }
        Self {
            source,
            path,
            place,
            table,
            prefix: None,
            known: Vec::new(),
        }
    }

    /// One value; `parse` says what is wrong with it.
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (place, written) = self.find(key)?;
        let text = match written {
            Written::Variable(text) => Some(text),
            Written::Value(value) => scalar(value),
        };
        let parsed = match text {
            Some(text) => parse(&text),
            None => Err("expected a single value".to_owned()),
        };
        self.checked(key, place, parsed)
    }

    /// A list; in an environment variable its items are separated by commas.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let (place, written) = self.find(key)?;
        let items: Vec<(Place, Option<String>)> = match written {
            Written::Variable(text) => text
                .split(',')
                .map(|item| (place.clone(), Some(item.trim().to_owned())))
                .filter(|(_, item)| item.as_deref() != Some(""))
                .collect(),
            Written::Value(DeValue::Array(items)) => items
                .iter()
                .map(|item| (self.source.line(item.span().start), scalar(item.get_ref())))
                .collect(),
            Written::Value(_) => {
                return self.checked(key, place, Err("expected a list".to_owned()));
            }
        };
        let parsed = items.into_iter().map(|(place, item)| {
            let parsed = match item {
                Some(item) => parse(&item),
                None => Err("expected a list of single values".to_owned()),
            };
            self.checked(key, place, parsed)
        });
        // All of them are looked at, so that all mistakes are reported.
        parsed.collect::<Vec<_>>().into_iter().collect()
    }

    /// A table of names and texts that the user chooses.
    pub(super) fn pairs(&mut self, key: &'static str) -> BTreeMap<String, String> {
        let mut pairs = BTreeMap::new();
        let Some(table) = self.table(key).table else {
            return pairs;
        };
        for (name, value) in table {
            match value.get_ref().as_str() {
                Some(text) => {
                    pairs.insert(name.get_ref().to_string(), text.to_owned());
                }
                None => self.source.report(
                    self.source.line(name.span().start),
                    &format!("{}.{key}.{}", self.path, name.get_ref()),
                    "expected a text in quotes",
                ),
            }
        }
        pairs
    }

    /// A table inside of this one.
    pub(super) fn table(&mut self, key: &'static str) -> Section<'d> {
        self.known.push(key);
        let found = self.table.and_then(|table| table.get(key));
        Section::new(self.source, format!("{}.{key}", self.path), found)
    }

    pub(super) fn holds(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether the file has a list under this key.
    pub(super) fn holds_list(&self, key: &str) -> bool {
        let found = self.table.and_then(|table| table.get(key));
        found.is_some_and(|value| matches!(value.get_ref(), DeValue::Array(_)))
    }

    pub(super) fn report(&self, message: impl Into<String>) {
        self.source.report(self.place.clone(), &self.path, message);
    }

    /// Reports an environment variable that has no name of a setting.
    pub(super) fn report_variable(&self, name: &str, message: &str) {
        let place = Place::Variable(name.to_owned());
        self.source.report(place, &self.path, message);
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        for (name, _) in self.table.into_iter().flatten() {
            if !self.known.contains(&name.get_ref().as_ref()) {
                self.source.report(
                    self.source.line(name.span().start),
                    &format!("{}.{}", self.path, name.get_ref()),
                    format!(
                        "there is no such setting; known here: {}",
                        self.known.join(", ")
                    ),
                );
            }
        }
    }

    fn find(&mut self, key: &'static str) -> Option<(Place, Written<'d>)> {
        self.known.push(key);
        if let Some(prefix) = &self.prefix {
            let name = format!("{prefix}{}", key.to_uppercase());
            if let Some(text) = (self.source.environment)(&name).filter(|text| !text.is_empty()) {
                return Some((Place::Variable(name), Written::Variable(text)));
            }
        }
        let value = self.table?.get(key)?;
        Some((
            self.source.line(value.span().start),
            Written::Value(value.get_ref()),
        ))
    }

    fn checked<T>(&self, key: &str, place: Place, parsed: Result<T, String>) -> Option<T> {
        let report = |message: String| {
            self.source
                .report(place, &format!("{}.{key}", self.path), message);
        };
        parsed.map_err(report).ok()
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|number| number.to_string()),
        _ => None,
    }
}
