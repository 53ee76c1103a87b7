//! From a file's text and the environment to a program's settings.

use std::path::Path;

use toml::de::DeTable;

use super::{
    closest::closest,
    declared::Declared,
    document::Document,
    fault, file,
    found::Loaded,
    problem::{Fault, Place, Problem, Problems},
    source::{Environment, Source},
};

/// Reads the settings of a program. The program says how their variables begin.
#[derive(Clone, Debug)]
pub struct Settings {
    prefix: &'static str,
    others: Vec<&'static str>,
}

impl Settings {
    /// Settings whose variables begin with `prefix`, such as `CODEC_`.
    #[must_use]
    pub const fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            others: Vec::new(),
        }
    }

    /// Adds variables that begin with the prefix and are not settings, such as those of the command line.
    #[must_use]
    pub fn with_other_variables(mut self, names: &[&'static str]) -> Self {
        self.others.extend_from_slice(names);
        self
    }

    /// Reads the file at `path`, if any, and the variables of the process over it. `read` reads the sections.
    ///
    /// # Errors
    /// Every mistake, with its line or variable.
    pub fn load<T>(
        &self,
        path: Option<&Path>,
        read: impl FnOnce(&Document<'_>) -> T,
    ) -> Result<T, Problems> {
        self.load_with_sources(path, read)
            .map(|loaded| loaded.settings)
    }

    /// As [`load`](Self::load), with what the file and the variables say, and the files that they name.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with_sources<T>(
        &self,
        path: Option<&Path>,
        read: impl FnOnce(&Document<'_>) -> T,
    ) -> Result<Loaded<T>, Problems> {
        let file = path.map_or_else(String::new, |path| path.display().to_string());
        let text = path
            .map(file::read)
            .transpose()
            .map_err(|message| Problems {
                file: file.clone(),
                problems: vec![Problem::new(None, String::new(), &message)],
            })?;
        let environment = |name: &str| std::env::var(name).ok();
        let source = Source::new(text.as_deref().unwrap_or_default(), &environment);
        let interpreted = self.interpret(&source, text.is_some(), read);
        self.report_unknown_variables(&source);
        match finish(&source, interpreted) {
            Ok(settings) => {
                let (found, files) = source.take_found();
                Ok(Loaded::new(settings, found, files))
            }
            Err(problems) => Err(Problems { file, problems }),
        }
    }

    /// Every setting that `read` asks for, in its order. It is given an empty configuration in which every name that a
    /// user chooses is `*`.
    pub fn describe<T>(&self, read: impl FnOnce(&Document<'_>) -> T) -> Vec<Declared> {
        let source = Source::recording(&|_| None);
        let _ = self.interpret(&source, true, read);
        source.into_recorder().into_noted()
    }

    /// As [`load`](Self::load), of the text of a file and of other variables than the process's. Unknown variables are
    /// not looked for.
    ///
    /// # Errors
    /// Every mistake, in the order of the file.
    pub fn parse<T>(
        &self,
        text: Option<&str>,
        environment: Environment<'_>,
        read: impl FnOnce(&Document<'_>) -> T,
    ) -> Result<T, Vec<Problem>> {
        let source = Source::new(text.unwrap_or_default(), environment);
        let interpreted = self.interpret(&source, text.is_some(), read);
        finish(&source, interpreted)
    }

    /// Reports every mistake to `source`. `None` when the text is not TOML: further errors would mislead.
    fn interpret<T>(
        &self,
        source: &Source<'_>,
        has_file: bool,
        read: impl FnOnce(&Document<'_>) -> T,
    ) -> Option<(T, Vec<Fault>)> {
        let (root, errors) = DeTable::parse_recoverable(source.text);
        for error in &errors {
            let offset = error.span().map_or(0, |span| span.start);
            let message = format!("not TOML: {}", error.message());
            source.report(source.line(offset), "", message);
        }
        if !errors.is_empty() {
            return None;
        }
        let document = Document::new(source, root.get_ref(), self.prefix, has_file);
        let settings = read(&document);
        Some((settings, document.finish()))
    }

    /// Reports misspelt variables, which have no effect. Other unknown variables may belong to another program, or to
    /// Kubernetes, which sets `CODEC_SERVER_PORT` for a service `codec-server`.
    fn report_unknown_variables(&self, source: &Source<'_>) {
        let known = source.known_variables();
        let known = || {
            let others = self.others.iter().copied();
            known.iter().map(String::as_str).chain(others)
        };
        let is_read =
            |name: &str| name.starts_with(self.prefix) || name.starts_with("TEMPORAL_CODEC_");
        let mut variables: Vec<_> = std::env::vars_os()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| is_read(name))
            .collect();
        variables.sort();
        for (name, value) in variables {
            let is_known = known().any(|known| known == name);
            if value.to_str().is_none() {
                let place = Place::Variable(name.clone());
                source.report(place, "", "it is not valid UTF-8; set it to UTF-8 text");
            }
            if is_known || !name.starts_with(self.prefix) {
                continue;
            }
            if let Some(similar) = closest(&name, known()) {
                let message = format!("there is no such variable; did you mean {similar}?");
                source.suspect_variable(similar);
                source.report(Place::Variable(name), "", message);
            } else {
                tracing::warn!(
                    variable = name,
                    "the variable is not a setting and has no effect; remove it, or correct its name"
                );
            }
        }
    }
}

fn finish<T>(source: &Source<'_>, interpreted: Option<(T, Vec<Fault>)>) -> Result<T, Vec<Problem>> {
    let settings = interpreted.map(|(settings, faults)| {
        fault::report(source, faults);
        settings
    });
    let mut problems = source.problems.take();
    problems.sort_by(|one, other| one.place.cmp(&other.place));
    match settings {
        Some(settings) if problems.is_empty() => Ok(settings),
        _ => Err(problems),
    }
}
