//! The state that all sections share: the text, the environment, and the mistakes found so far.

use std::{cell::RefCell, collections::BTreeMap};

use super::problem::{Place, Problem};

/// Reads an environment variable; tests pass a map.
pub type Environment<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

pub(super) struct Source<'d> {
    pub(super) text: &'d str,
    pub(super) environment: Environment<'d>,
    pub(super) problems: RefCell<Vec<Problem>>,
    /// Where each setting and each table was found.
    places: RefCell<BTreeMap<String, Place>>,
    /// The environment variables that were asked for, and the settings that they are for.
    variables: RefCell<BTreeMap<String, String>>,
    /// Settings that are probably misspelt somewhere.
    suspects: RefCell<Vec<String>>,
}

impl<'d> Source<'d> {
    pub(super) fn new(text: &'d str, environment: Environment<'d>) -> Self {
        Self {
            text,
            environment,
            problems: RefCell::default(),
            places: RefCell::default(),
            variables: RefCell::default(),
            suspects: RefCell::default(),
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

    pub(super) fn found(&self, setting: &str, place: &Place) {
        let mut places = self.places.borrow_mut();
        places.insert(setting.to_owned(), place.clone());
    }

    pub(super) fn knows_variable(&self, name: &str, setting: String) {
        let mut variables = self.variables.borrow_mut();
        variables.insert(name.to_owned(), setting);
    }

    /// The variables that were asked for.
    pub(super) fn known_variables(&self) -> Vec<String> {
        self.variables.borrow().keys().cloned().collect()
    }

    /// Notes that `setting` was probably meant by a name that is unknown.
    pub(super) fn suspect(&self, setting: String) {
        self.suspects.borrow_mut().push(setting);
    }

    /// As [`suspect`](Self::suspect), for the setting of a variable.
    pub(super) fn suspect_variable(&self, name: &str) {
        if let Some(setting) = self.variables.borrow().get(name) {
            self.suspect(setting.clone());
        }
    }

    /// Whether `is_wrong` holds for a setting that has a mistake, or is probably misspelt.
    pub(super) fn any_wrong(&self, is_wrong: impl Fn(&str) -> bool) -> bool {
        let (problems, suspects) = (self.problems.borrow(), self.suspects.borrow());
        let reported = problems.iter().map(|problem| &problem.setting);
        reported
            .chain(suspects.iter())
            .any(|setting| is_wrong(setting))
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

/// The known name that was probably meant.
pub(super) fn closest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(edits, known)| *edits <= 2 && *edits < known.len())
        .min()
        .map(|(_, known)| known)
}
