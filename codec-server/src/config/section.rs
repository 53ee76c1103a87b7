//! One table of the file with the environment over it: gives typed settings, and collects mistakes.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::problem::{Place, Problem};

/// Reads an environment variable; tests put a map in its place.
pub(super) type Environment<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// What all sections of one configuration share.
pub(super) struct Source<'d> {
    pub(super) text: &'d str,
    pub(super) environment: Environment<'d>,
    pub(super) problems: RefCell<Vec<Problem>>,
    /// Where each setting and each table was found.
    pub(super) places: RefCell<BTreeMap<String, Place>>,
    /// The environment variables that were asked for.
    pub(super) variables: RefCell<BTreeSet<String>>,
}

impl<'d> Source<'d> {
    pub(super) fn new(text: &'d str, environment: Environment<'d>) -> Self {
        Self {
            text,
            environment,
            problems: RefCell::default(),
            places: RefCell::default(),
            variables: RefCell::default(),
        }
    }

    /// The place of a setting, or of the nearest table around it that was found.
    pub(super) fn place_of(&self, setting: &str) -> Option<Place> {
        let places = self.places.borrow();
        let mut path = setting;
        loop {
            if let Some(place) = places.get(path) {
                return Some(place.clone());
            }
            path = path.rsplit_once('.')?.0;
        }
    }

    fn found(&self, setting: &str, place: &Place) {
        let mut places = self.places.borrow_mut();
        places.insert(setting.to_owned(), place.clone());
    }

    pub(super) fn line(&self, offset: usize) -> Place {
        let before = self
            .text
            .as_bytes()
            .get(..offset)
            .unwrap_or(self.text.as_bytes());
        Place::Line(before.split(|byte| *byte == b'\n').count())
    }

    pub(super) fn report(
        &self,
        place: impl Into<Option<Place>>,
        setting: &str,
        message: impl Into<String>,
    ) {
        self.problems.borrow_mut().push(Problem {
            place: place.into(),
            setting: setting.to_owned(),
            message: message.into(),
        });
    }
}

/// A table, and the keys that were asked for so far.
pub(super) struct Section<'d> {
    source: &'d Source<'d>,
    path: String,
    place: Option<Place>,
    table: Option<&'d DeTable<'d>>,
    /// What its environment variables start with; none for tables whose names are the user's.
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
            table,
            prefix: None,
            known: Vec::new(),
            retired: Vec::new(),
        }
    }

    /// A text; `parse` says what is wrong with it.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
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
                .map(|item| {
                    let text = item.get_ref().as_str().map(str::to_owned);
                    (self.source.line(item.span().start), text)
                })
                .collect(),
            Written::Value(_) => {
                return self.checked(key, place, Err("expected a list".to_owned()));
            }
        };
        let parsed = items.into_iter().map(|(place, item)| {
            let parsed = match item {
                Some(item) => parse(&item),
                None => Err("expected a list of texts in quotes".to_owned()),
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

    /// A table under a name that is not a setting, such as `a1b2c` of `[namespaces.prod.a1b2c]`.
    pub(super) fn stray_table(&self) -> Option<&'d str> {
        self.table.into_iter().flatten().find_map(|(name, value)| {
            let name = name.get_ref().as_ref();
            (value.get_ref().is_table() && !self.known.contains(&name)).then_some(name)
        })
    }

    /// Reports a setting that there was once.
    pub(super) fn retired(&mut self, key: &'static str, message: &str) {
        if let Some((place, _)) = self.find(key) {
            self.checked::<()>(key, place, Err(message.to_owned()));
        }
        self.known.pop();
        self.retired.push(key);
    }

    /// Reports an environment variable that is not of a setting's own name.
    pub(super) fn report_variable(&self, name: &str, message: &str) {
        let place = Place::Variable(name.to_owned());
        self.source.report(place, &self.path, message);
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        for (name, value) in self.table.into_iter().flatten() {
            let key = name.get_ref().as_ref();
            if self.known.contains(&key) || self.retired.contains(&key) {
                continue;
            }
            let message = match closest(key, self.known.iter().copied()) {
                _ if value.get_ref().is_table() && self.path.starts_with("namespaces.") => {
                    let (_, namespace) = self.path.split_at("namespaces.".len());
                    format!("quote a name with dots: [namespaces.\"{namespace}.{key}\"]")
                }
                Some(similar) => format!("there is no such setting; did you mean `{similar}`?"),
                None => format!(
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
        if let Some(prefix) = &self.prefix {
            let name = format!("{prefix}{}", key.to_uppercase());
            self.source.variables.borrow_mut().insert(name.clone());
            if let Some(text) = (self.source.environment)(&name).filter(|text| !text.is_empty()) {
                return Some(self.found(key, Place::Variable(name), Written::Variable(text)));
            }
        }
        let value = self.table?.get(key)?;
        let place = self.source.line(value.span().start);
        Some(self.found(key, place, Written::Value(value.get_ref())))
    }

    fn found(&self, key: &str, place: Place, written: Written<'d>) -> (Place, Written<'d>) {
        self.source.found(&format!("{}.{key}", self.path), &place);
        (place, written)
    }

    fn checked<T>(&self, key: &str, place: Place, parsed: Result<T, String>) -> Option<T> {
        let report = |message: String| {
            self.source
                .report(place, &format!("{}.{key}", self.path), message);
        };
        parsed.map_err(report).ok()
    }
}

/// The name that was probably meant.
pub(super) fn closest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(edits, known)| *edits <= 2 && *edits < known.len())
        .min()
        .map(|(_, known)| known)
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
