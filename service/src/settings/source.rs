//! The state that all sections share: the text, the environment, and the mistakes found so far.

use std::{
    any::Any,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use temporal_kms_codec::kms::SettingValue;

use super::{
    declared::{Form, Recorder},
    found::Found,
    problem::{Place, Problem},
};

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
    /// What the file and the environment set.
    values: RefCell<Vec<Found>>,
    /// The values that are paths.
    files: RefCell<BTreeSet<PathBuf>>,
    /// Where it is only asked what is read.
    recorder: Option<Recorder>,
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
            values: RefCell::default(),
            files: RefCell::default(),
            recorder: None,
        }
    }

    /// An empty configuration that notes what is asked for.
    pub(super) fn recording(environment: Environment<'d>) -> Self {
        Self {
            recorder: Some(Recorder::default()),
            ..Self::new("", environment)
        }
    }

    pub(super) fn is_recording(&self) -> bool {
        self.recorder.is_some()
    }

    /// Notes a setting that the program reads.
    pub(super) fn declare(
        &self,
        setting: impl FnOnce() -> String,
        variable: impl FnOnce() -> Option<String>,
        form: impl FnOnce() -> Form,
    ) {
        if let Some(recorder) = &self.recorder {
            recorder.note(setting(), variable(), form());
        }
    }

    pub(super) fn into_recorder(self) -> Recorder {
        self.recorder.unwrap_or_default()
    }

    /// Notes the value of a setting.
    pub(super) fn set(&self, found: Found) {
        self.values.borrow_mut().push(found);
    }

    /// Notes a value that is the path of a file.
    pub(super) fn read<T: Any>(&self, value: &T) {
        let value: &dyn Any = value;
        let path = value.downcast_ref::<PathBuf>().cloned();
        let path = path.or_else(|| value.downcast_ref::<SettingValue>()?.clone().into_path());
        if let Some(path) = path {
            self.files.borrow_mut().insert(path);
        }
    }

    /// What was set, and the paths among it.
    pub(super) fn take_found(&self) -> (Vec<Found>, BTreeSet<PathBuf>) {
        (self.values.take(), self.files.take())
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
        let problem = Problem::new(place.into(), setting.to_owned(), &message.into());
        self.problems.borrow_mut().push(problem);
    }
}
