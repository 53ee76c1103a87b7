//! From a file's text and the environment to a [`Config`].

use std::{cell::RefCell, collections::BTreeMap, fs::File, io::Read as _, path::Path};

use temporal_kms_codec::{Namespace, kms::KmsOptions};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Config, NamespacesConfig,
    cors::CorsConfig,
    keys,
    namespace::NamespaceConfig,
    problem::{Place, Problem, Problems},
    section::{Environment, Section, Source},
    server::ServerConfig,
};

/// No configuration is larger; a wrong path can name anything.
const MAX_FILE: u64 = 1 << 20;
const SECTIONS: [&str; 4] = ["server", "cors", "keys", "namespaces"];

impl Config {
    /// Reads the file at `path`, with the environment over it.
    ///
    /// # Errors
    /// Every mistake in it, with its line.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let file = path.display().to_string();
        let text = read(path).map_err(|message| {
            let setting = String::new();
            Problems {
                file: file.clone(),
                problems: vec![Problem {
                    place: Place::Line(1),
                    setting,
                    message,
                }],
            }
        })?;
        Self::parse(&text, true, &|name| std::env::var(name).ok())
            .map_err(|problems| Problems { file, problems })
    }

    /// The configuration without a file: settings from `CODEC_…` variables, and one namespace from the library's own.
    ///
    /// # Errors
    /// Every mistake in the variables.
    pub fn from_environment() -> Result<Self, Problems> {
        let config = Self::parse("", false, &|name| std::env::var(name).ok());
        config.map_err(|problems| Problems {
            file: String::new(),
            problems,
        })
    }

    pub(super) fn parse(
        text: &str,
        is_file: bool,
        environment: Environment<'_>,
    ) -> Result<Self, Vec<Problem>> {
        let source = Source {
            text,
            environment,
            problems: RefCell::default(),
        };
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let offset = error.span().map_or(0, |span| span.start);
            source.report(
                source.line(offset),
                "",
                format!("not TOML: {}", error.message()),
            );
        }
        // What could be recovered from broken TOML is not what was meant: further words would mislead.
        let config = errors
            .is_empty()
            .then(|| Self::interpret(&source, root.get_ref(), is_file));
        let mut problems = source.problems.take();
        problems.sort_by(|one, other| one.place.cmp(&other.place));
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }

    /// What `root` says, with defaults where `source` got a problem reported.
    fn interpret<'d>(source: &'d Source<'d>, root: &'d DeTable<'d>, is_file: bool) -> Self {
        report_unknown(source, root);
        let section = |name| Section::with_variables(source, name, root.get(name));
        let server = ServerConfig::read(section("server"));
        let cors = CorsConfig::read(section("cors"));
        let mut keys = keys::read(section("keys"), source.environment);
        let namespaces = if is_file {
            NamespacesConfig::Named(namespaces(source, root.get("namespaces"), &mut keys))
        } else {
            NamespacesConfig::FromEnvironment
        };
        Self {
            server,
            cors,
            keys,
            namespaces,
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error| format!("the file cannot be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE {
        return Err("the file is larger than 1 MiB, which no configuration is".to_owned());
    }
    Ok(text)
}

fn report_unknown(source: &Source<'_>, root: &DeTable<'_>) {
    for (name, _) in root {
        if !SECTIONS.contains(&name.get_ref().as_ref()) {
            source.report(
                source.line(name.span().start),
                name.get_ref(),
                "there is no such section; known are [server], [cors], [keys] and [namespaces.NAME]",
            );
        }
    }
}

fn namespaces<'d>(
    source: &'d Source<'d>,
    found: Option<&'d Spanned<DeValue<'d>>>,
    keys: &mut KmsOptions,
) -> BTreeMap<Namespace, NamespaceConfig> {
    let mut namespaces = BTreeMap::new();
    let table = found.and_then(|value| value.get_ref().as_table());
    if table.is_none_or(DeTable::is_empty) {
        let place = source.line(found.map_or(0, |value| value.span().start));
        source.report(
            place,
            "namespaces",
            "no namespace is configured; add [namespaces.default] with encrypt = [\"local://default\"]",
        );
    }
    for (name, value) in table.into_iter().flatten() {
        let path = format!("namespaces.{}", name.get_ref());
        let section = Section::new(source, path.clone(), Some(value));
        let read = NamespaceConfig::read(section, keys);
        match (Namespace::new(name.get_ref()), read) {
            (Ok(namespace), Some(config)) => {
                namespaces.insert(namespace, config);
            }
            (Ok(_), None) => {}
            (Err(error), _) => {
                source.report(source.line(name.span().start), &path, error.to_string());
            }
        }
    }
    namespaces
}
