//! One table of the file with the environment over it: gives typed settings, and collects mistakes.

use std::{any::Any, collections::BTreeMap};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    closest::closest,
    declared::Form,
    found::{self, Found},
    problem::Place,
    source::Source,
};

/// A table, and the keys that were asked for so far. [`finish`](Self::finish) reports all other keys.
pub struct Section<'d> {
    source: &'d Source<'d>,
    path: String,
    place: Option<Place>,
    /// Where its name is, when the user chose it, and the path before the name.
    named: Option<(Place, String)>,
    table: Option<&'d DeTable<'d>>,
    /// How its environment variables begin; `None` for tables whose names the user chooses.
    prefix: Option<String>,
    known: Vec<&'static str>,
    retired: Vec<&'static str>,
}

/// A setting as it was written.
enum Written<'d> {
    Variable(String),
    Value(&'d DeValue<'d>),
}

impl<'d> Section<'d> {
    pub(super) fn new(
        source: &'d Source<'d>,
        path: String,
        found: Option<&'d Spanned<DeValue<'d>>>,
    ) -> Self {
        let place = found.map(|value| source.line(value.span().start));
        if let Some(place) = &place {
            source.found(&path, place);
        }
        let table = found.and_then(|value| value.get_ref().as_table());
        if found.is_some() && table.is_none() {
            source.report(place.clone(), &path, "expected a table");
        }
        Self {
            source,
            path,
            place,
            named: None,
            table,
            prefix: None,
            known: Vec::new(),
            retired: Vec::new(),
        }
    }

    /// Gives its settings environment variables, which begin with `prefix`.
    pub(super) fn with_variables(mut self, prefix: String) -> Self {
        self.prefix = Some(prefix);
        self
    }

    /// Says that the user chose its name, where the name is, and the path before it.
    pub(super) fn named_at(&mut self, place: Place, kind: &str) {
        self.named = Some((place, kind.to_owned()));
    }

    /// Replaces `target` by one value, if the setting is there. `parse` says what is wrong with it.
    pub fn set<T: Any>(
        &mut self,
        key: &'static str,
        target: &mut T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) {
        if let Some(value) = self.value(key, parse) {
            *target = value;
        }
    }

    /// Replaces `target` by a text, if the setting is there. `parse` says what is wrong with it.
    pub fn set_text<T: Any>(
        &mut self,
        key: &'static str,
        target: &mut Option<T>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) {
        if let Some(text) = self.text(key, parse) {
            *target = Some(text);
        }
    }

    /// A text; `parse` says what is wrong with it.
    pub fn text<T: Any>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.declare(key, || Form::of(&|text| parse(text).map(drop)).in_quotes());
        let (place, written) = self.find(key)?;
        let parsed = match &written {
            Written::Variable(text) => parse(text),
            Written::Value(value) => match value.as_str() {
                Some("") | None => Err("expected a text in quotes".to_owned()),
                Some(text) => parse(text),
            },
        };
        self.checked(key, place, parsed)
    }

    /// One value; `parse` says what is wrong with it.
    pub fn value<T: Any>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.declare(key, || Form::of(&|text| parse(text).map(drop)));
        let (place, written) = self.find(key)?;
        let text = match written {
            Written::Variable(text) => Some(text),
            Written::Value(value) => scalar(value),
        };
        let parsed = match text {
            Some(text) => parse(&text),
            None => Err("expected a single value, not a list or a table".to_owned()),
        };
        self.checked(key, place, parsed)
    }

    /// A list; in an environment variable its items are separated by commas.
    pub fn list<T: Any>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        self.declare(key, || {
            Form::List(Box::new(
                Form::of(&|text| parse(text).map(drop)).in_quotes(),
            ))
        });
        let (place, written) = self.find(key)?;
        let items: Vec<(Place, Option<String>)> = match written {
            Written::Variable(text) => text
                .split(',')
                .map(|item| (place.clone(), Some(item.trim().to_owned())))
                .filter(|(_, item)| item.as_deref() != Some(""))
                .collect(),
            Written::Value(DeValue::Array(items)) => items
                .iter()
                .map(|item| {
                    let text = item.get_ref().as_str().map(str::to_owned);
                    (self.source.line(item.span().start), text)
                })
                .collect(),
            Written::Value(_) => {
                return self.checked(
                    key,
                    place,
                    Err("expected a list, such as [\"a\", \"b\"]".to_owned()),
                );
            }
        };
        let parsed = items.into_iter().map(|(place, item)| {
            let parsed = match item {
                Some(item) => parse(&item),
                None => Err("expected a list of texts in quotes".to_owned()),
            };
            self.checked(key, place, parsed)
        });
        // Every item is read, so that every mistake is reported.
        parsed.collect::<Vec<_>>().into_iter().collect()
    }

    /// A table of names and texts that the user chooses.
    pub fn pairs(&mut self, key: &'static str) -> BTreeMap<String, String> {
        let mut pairs = BTreeMap::new();
        self.declare(key, || Form::Pairs);
        let Some(table) = self.found_table(key) else {
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

    /// The table under `key`, whose content is one value.
    fn found_table(&mut self, key: &'static str) -> Option<&'d DeTable<'d>> {
        let inner = self.table(key);
        let (table, place) = (inner.table?, inner.place?);
        let value = self.table?.get(key)?;
        let setting = format!("{}.{key}", self.path);
        let value = found::value(value.get_ref());
        self.source.set(Found::new(setting, place, value));
        Some(table)
    }

    /// A table inside this one.
    #[must_use]
    pub fn table(&mut self, key: &'static str) -> Section<'d> {
        self.known.push(key);
        let found = self.table.and_then(|table| table.get(key));
        Section::new(self.source, format!("{}.{key}", self.path), found)
    }

    /// A table of names that the user chooses and lists. `parse` says what is wrong with an item.
    pub fn lists<T: Any>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> BTreeMap<String, Vec<T>> {
        let mut lists = BTreeMap::new();
        self.declare(key, || Form::Lists);
        let Some(table) = self.found_table(key) else {
            return lists;
        };
        for (name, value) in table {
            let setting = format!("{key}.{}", name.get_ref());
            let DeValue::Array(items) = value.get_ref() else {
                let place = self.source.line(name.span().start);
                let message = "expected a list, such as [\"a\", \"b\"]".to_owned();
                self.checked::<()>(&setting, place, Err(message));
                continue;
            };
            let parsed = items.iter().filter_map(|item| {
                let place = self.source.line(item.span().start);
                let parsed = match item.get_ref().as_str() {
                    Some(text) => parse(text),
                    None => Err("expected a list of texts in quotes".to_owned()),
                };
                self.checked(&setting, place, parsed)
            });
            lists.insert(name.get_ref().to_string(), parsed.collect());
        }
        lists
    }

    /// The tables `[SECTION.KEY.X]`, whose names `X` the user chooses, in the order of their names.
    #[must_use]
    pub fn tables(&mut self, key: &'static str) -> Vec<(String, Section<'d>)> {
        let kind = format!("{}.{key}", self.path);
        if self.source.is_recording() {
            let section = Section::new(self.source, format!("{kind}.*"), None);
            return vec![("*".to_owned(), section)];
        }
        let Some(table) = self.table(key).table else {
            return Vec::new();
        };
        let named = table.iter().map(|(name, value)| {
            let path = format!("{kind}.{}", name.get_ref());
            let mut section = Section::new(self.source, path, Some(value));
            section.named_at(self.source.line(name.span().start), &kind);
            (name.get_ref().to_string(), section)
        });
        named.collect()
    }

    /// Whether the file has this section.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Whether the file has this key.
    #[must_use]
    pub fn holds(&self, key: &str) -> bool {
        // What is read only where it is there is asked for as well.
        self.source.is_recording() || self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether the file has a table `[SECTION.KEY.X]` with any name `X`.
    #[must_use]
    pub fn holds_tables(&self, key: &str) -> bool {
        let found = self.table.and_then(|table| table.get(key));
        let table = found.and_then(|value| value.get_ref().as_table());
        table.is_some_and(|table| table.iter().next().is_some())
    }

    /// Whether the file has the table `[SECTION.KEY.NAME]`.
    #[must_use]
    pub fn holds_table(&self, key: &str, name: &str) -> bool {
        let found = self.table.and_then(|table| table.get(key));
        let table = found.and_then(|value| value.get_ref().as_table());
        table.is_some_and(|table| table.contains_key(name))
    }

    /// Whether the file has a list under this key.
    #[must_use]
    pub fn holds_list(&self, key: &'static str) -> bool {
        self.declare(key, || Form::List(Box::new(Form::Text)));
        let found = self.table.and_then(|table| table.get(key));
        found.is_some_and(|value| matches!(value.get_ref(), DeValue::Array(_)))
    }

    /// Reports a mistake in the whole section.
    pub fn report(&self, message: impl Into<String>) {
        self.source.report(self.place.clone(), &self.path, message);
    }

    /// A table under a name that is not a setting, such as `a1b2c` of `[namespaces.prod.a1b2c]`.
    #[must_use]
    pub fn stray_table(&self) -> Option<&'d str> {
        self.table.into_iter().flatten().find_map(|(name, value)| {
            let name = name.get_ref().as_ref();
            (value.get_ref().is_table() && !self.known.contains(&name)).then_some(name)
        })
    }

    /// Reports a setting of an older version, if it is there: `message` says what to do instead.
    pub fn retired(&mut self, key: &'static str, message: &str) {
        if let Some((place, _)) = self.find(key) {
            self.checked::<()>(key, place, Err(message.to_owned()));
        }
        self.known.pop();
        self.retired.push(key);
    }

    /// Reports a mistake in the section's name, which the user chose.
    pub fn report_name(&self, message: impl Into<String>) {
        let named = self.named.as_ref().map(|(place, _)| place.clone());
        let place = named.or_else(|| self.place.clone());
        self.source.report(place, &self.path, message);
    }

    /// Reports the keys that were not asked for.
    pub fn finish(self) {
        for (name, value) in self.table.into_iter().flatten() {
            let key = name.get_ref().as_ref();
            if self.known.contains(&key) || self.retired.contains(&key) {
                continue;
            }
            let kind = self.named.as_ref().map(|(_, kind)| kind.as_str());
            let message = match (closest(key, self.known.iter().copied()), kind) {
                (_, Some(kind)) if value.get_ref().is_table() => {
                    let name = self.path.get(kind.len() + 1..).unwrap_or_default();
                    format!("quote a name with dots: [{kind}.\"{name}.{key}\"]")
                }
                (Some(similar), _) => {
                    self.source.suspect(format!("{}.{similar}", self.path));
                    format!("there is no such setting; did you mean `{similar}`?")
                }
                (None, _) => format!(
                    "there is no such setting; known here: {}",
                    self.known.join(", ")
                ),
            };
            self.source.report(
                self.source.line(name.span().start),
                &format!("{}.{key}", self.path),
                message,
            );
        }
    }

    fn find(&mut self, key: &'static str) -> Option<(Place, Written<'d>)> {
        self.known.push(key);
        if let Some(name) = self.variable_of(key) {
            let setting = format!("{}.{key}", self.path);
            self.source.knows_variable(&name, setting);
            if let Some(text) = (self.source.environment)(&name).filter(|text| !text.is_empty()) {
                return Some(self.found(key, Place::Variable(name), Written::Variable(text)));
            }
        }
        let value = self.table?.get(key)?;
        let place = self.source.line(value.span().start);
        Some(self.found(key, place, Written::Value(value.get_ref())))
    }

    fn found(&self, key: &str, place: Place, written: Written<'d>) -> (Place, Written<'d>) {
        let setting = format!("{}.{key}", self.path);
        self.source.found(&setting, &place);
        let value = match &written {
            Written::Variable(text) => text.as_str().into(),
            Written::Value(value) => found::value(value),
        };
        self.source.set(Found::new(setting, place.clone(), value));
        (place, written)
    }

    /// Notes that the program reads `key`.
    fn declare(&self, key: &'static str, form: impl FnOnce() -> Form) {
        let setting = || format!("{}.{key}", self.path);
        self.source.declare(setting, || self.variable_of(key), form);
    }

    fn variable_of(&self, key: &str) -> Option<String> {
        let prefix = self.prefix.as_ref()?;
        Some(format!("{prefix}{}", key.to_uppercase()))
    }

    fn checked<T: Any>(&self, key: &str, place: Place, parsed: Result<T, String>) -> Option<T> {
        match parsed {
            Ok(value) => {
                self.source.read(&value);
                Some(value)
            }
            Err(message) => {
                let setting = format!("{}.{key}", self.path);
                self.source.report(place, &setting, message);
                None
            }
        }
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
