//! A configuration that is being read: its sections, and where mistakes in it are reported.

use std::cell::RefCell;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    closest::closest,
    problem::{Fault, Place},
    section::Section,
    source::{Environment, Source},
};

/// The sections of a file with the environment over them.
pub struct Document<'d> {
    source: &'d Source<'d>,
    root: &'d DeTable<'d>,
    prefix: &'static str,
    has_file: bool,
    /// The sections that were asked for, as error texts show them.
    known: RefCell<Vec<(&'static str, String)>>,
    faults: RefCell<Vec<Fault>>,
}

impl<'d> Document<'d> {
    pub(super) fn new(
        source: &'d Source<'d>,
        root: &'d DeTable<'d>,
        prefix: &'static str,
        has_file: bool,
    ) -> Self {
        Self {
            source,
            root,
            prefix,
            has_file,
            known: RefCell::default(),
            faults: RefCell::default(),
        }
    }

    /// Whether there is a file; without one, all settings come from variables.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.has_file
    }

    /// The variables of the process.
    pub fn environment(&self) -> Environment<'d> {
        self.source.environment
    }

    /// The section `[NAME]`. The variable of its setting `KEY` is the program's prefix, the name, `_` and the key, in
    /// capitals.
    #[must_use]
    pub fn section(&self, name: &'static str) -> Section<'d> {
        self.knows(name, format!("[{name}]"));
        let prefix = format!("{}{}_", self.prefix, name.to_uppercase());
        Section::new(self.source, name.to_owned(), self.root.get(name)).with_variables(prefix)
    }

    /// The section `[NAME.KEY]`. The code that reads `[NAME]` [asks for it](Section::table), too.
    #[must_use]
    pub fn table(&self, name: &'static str, key: &'static str) -> Section<'d> {
        let outer = self.root.get(name);
        let outer = outer.and_then(|value| value.get_ref().as_table());
        let found = outer.and_then(|table| table.get(key));
        Section::new(self.source, format!("{name}.{key}"), found)
    }

    /// The sections `[NAME.X]`, whose names `X` the user chooses, in the order of their names. They have no variables.
    #[must_use]
    pub fn named_sections(&self, name: &'static str) -> Vec<(String, Section<'d>)> {
        self.knows(name, format!("[{name}.NAME]"));
        if self.source.is_recording() {
            let section = Section::new(self.source, format!("{name}.*"), None);
            return vec![("*".to_owned(), section)];
        }
        let found = self.root.get(name);
        let Some(table) = found.and_then(|value| value.get_ref().as_table()) else {
            return Vec::new();
        };
        let named = table.iter().map(|(key, value)| {
            let path = format!("{name}.{}", key.get_ref());
            let mut section = Section::new(self.source, path, Some(value));
            section.named_at(self.source.line(key.span().start), name);
            (key.get_ref().to_string(), section)
        });
        named.collect()
    }

    /// Reports a mistake in a whole section.
    pub fn report_section(&self, name: &'static str, message: impl Into<String>) {
        let place = self
            .root
            .get(name)
            .map(|value: &Spanned<DeValue<'_>>| self.source.line(value.span().start));
        self.source.report(place, name, message);
    }

    /// Reports a mistake in an environment variable. `setting` is the setting that it is for, or empty.
    pub fn report_variable(&self, name: &str, setting: &str, message: impl Into<String>) {
        let place = Place::Variable(name.to_owned());
        self.source.report(place, setting, message);
    }

    /// Reports mistakes that show only when all settings are read. One that may follow from another mistake is left out.
    pub fn report_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.borrow_mut().extend(faults);
    }

    /// Reports the sections that were not asked for, and returns the faults, which are reported later.
    pub(super) fn finish(self) -> Vec<Fault> {
        let known = self.known.borrow();
        for (name, _) in self.root {
            let name_of = name.get_ref().as_ref();
            if known.iter().any(|(known, _)| *known == name_of) {
                continue;
            }
            let similar = closest(name_of, known.iter().map(|(known, _)| *known));
            let similar = known.iter().find(|(known, _)| Some(*known) == similar);
            let advice = if let Some((similar, shown)) = similar {
                self.source.suspect((*similar).to_owned());
                format!("did you mean {shown}?")
            } else {
                let shown: Vec<&str> = known.iter().map(|(_, shown)| shown.as_str()).collect();
                let list = match shown.split_last() {
                    Some((last, [])) => (*last).to_owned(),
                    Some((last, others)) => format!("{} and {last}", others.join(", ")),
                    None => "none".to_owned(),
                };
                format!("known are {list}")
            };
            self.source.report(
                self.source.line(name.span().start),
                name_of,
                format!("there is no such section; {advice}"),
            );
        }
        drop(known);
        self.faults.into_inner()
    }

    fn knows(&self, name: &'static str, shown: String) {
        let mut known = self.known.borrow_mut();
        if !known.iter().any(|(known, _)| *known == name) {
            known.push((name, shown));
        }
    }
}
