//! From a file's text and the environment to a [`Config`].

use std::{
    collections::BTreeMap, fs::File, io::Read as _, os::unix::fs::OpenOptionsExt as _, path::Path,
};

use nix::fcntl::OFlag;
use temporal_kms_codec::{CacheLimits, CodecSettings, Namespace, kms::KmsOptions};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Config, NamespacesConfig, cache,
    check::{self, Fault},
    cors::CorsConfig,
    keys,
    namespace::NamespaceConfig,
    problem::{Place, Problem, Problems},
    section::{Section, Source, closest},
    server::ServerConfig,
};

/// No configuration is larger; a wrong path can name anything.
const MAX_FILE: u64 = 1 << 20;
const SECTIONS: [&str; 5] = ["server", "cors", "cache", "keys", "namespaces"];
/// Variables of the command line that begin like those of settings.
const OTHER_VARIABLES: [&str; 2] = ["CODEC_CONFIG", "CODEC_LOG_FORMAT"];

impl Config {
    /// Reads the file at `path`, with the environment over it, and checks everything that can be checked without opening
    /// a key: a server refuses nothing of it before it opens its keys.
    ///
    /// # Errors
    /// Every mistake, with its line.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::of_file(path, check::missing_files)
    }

    /// As [`load`](Self::load), but files that the configuration names may be missing: for commands that find that out
    /// with the key that they need.
    pub(crate) fn load_settings(path: &Path) -> Result<Self, Problems> {
        Self::of_file(path, |_| Vec::new())
    }

    /// The configuration without a file: settings from `CODEC_…` variables, and one namespace from the library's own
    /// ([`CodecSettings::from_env`]). It is checked as [`load`](Self::load) does.
    ///
    /// # Errors
    /// Every mistake in the variables.
    pub fn from_environment() -> Result<Self, Problems> {
        Self::of_variables(check::missing_files)
    }

    /// As [`from_environment`](Self::from_environment), with the exception of [`load_settings`](Self::load_settings).
    pub(crate) fn settings_from_environment() -> Result<Self, Problems> {
        Self::of_variables(|_| Vec::new())
    }

    fn of_file(path: &Path, missing: fn(&Self) -> Vec<Fault>) -> Result<Self, Problems> {
        let file = path.display().to_string();
        let text = read(path).map_err(|message| Problems {
            file: file.clone(),
            problems: vec![Problem {
                place: None,
                setting: String::new(),
                message,
            }],
        })?;
        Self::of_process(&text, true, missing).map_err(|problems| Problems { file, problems })
    }

    fn of_variables(missing: fn(&Self) -> Vec<Fault>) -> Result<Self, Problems> {
        Self::of_process("", false, missing).map_err(|problems| Problems {
            file: String::new(),
            problems,
        })
    }

    fn of_process(
        text: &str,
        is_file: bool,
        missing: fn(&Self) -> Vec<Fault>,
    ) -> Result<Self, Vec<Problem>> {
        let variable = |name: &str| std::env::var(name).ok();
        let source = Source::new(text, &variable);
        let config = Self::parse_source(&source, is_file);
        report_unknown_variables(&source);
        if let Some(config) = &config {
            report_faults(&source, missing(config));
        }
        finish(&source, config)
    }

    #[cfg(test)]
    pub(super) fn parse(
        text: &str,
        is_file: bool,
        environment: super::section::Environment<'_>,
    ) -> Result<Self, Vec<Problem>> {
        let source = Source::new(text, environment);
        let config = Self::parse_source(&source, is_file);
        finish(&source, config)
    }

    /// Reports everything that is wrong to `source`. `None` when the text is not TOML.
    fn parse_source(source: &Source<'_>, is_file: bool) -> Option<Self> {
        let (root, errors) = DeTable::parse_recoverable(source.text);
        for error in &errors {
            let offset = error.span().map_or(0, |span| span.start);
            source.report(
                source.line(offset),
                "",
                format!("not TOML: {}", error.message()),
            );
        }
        // What could be recovered from broken TOML is not what was meant: further errors would mislead.
        if !errors.is_empty() {
            return None;
        }
        let config = Self::interpret(source, root.get_ref(), is_file);
        report_faults(source, check::faults(&config));
        Some(config)
    }

    /// What `root` says, with defaults where `source` got a problem reported.
    fn interpret<'d>(source: &'d Source<'d>, root: &'d DeTable<'d>, is_file: bool) -> Self {
        report_unknown(source, root);
        let section = |name| Section::with_variables(source, name, root.get(name));
        let server = ServerConfig::read(section("server"));
        let cors = CorsConfig::read(section("cors"));
        let keys = section("keys");
        if is_file {
            let variables = keys::variables(&keys, source.environment);
            let mut keys = keys::read(keys, variables);
            let found = root.get("namespaces");
            let cache = cache::read(section("cache"), CacheLimits::default());
            let namespaces = namespaces(source, found, &mut keys, &cache);
            return Self {
                server,
                cors,
                keys,
                namespaces: NamespacesConfig::Named(namespaces),
            };
        }
        let (mut namespaces, variables) = of_variables(source);
        for config in namespaces.values_mut() {
            config.cache = cache::read(section("cache"), config.cache.clone());
        }
        Self {
            server,
            cors,
            keys: keys::read(keys, variables),
            namespaces: NamespacesConfig::Named(namespaces),
        }
    }
}

fn finish(source: &Source<'_>, config: Option<Config>) -> Result<Config, Vec<Problem>> {
    let mut problems = source.problems.take();
    problems.sort_by(|one, other| one.place.cmp(&other.place));
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems),
    }
}

/// Opened without waiting: a pipe would block, and is refused.
fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error| format!("the file cannot be read: {error}");
    let file = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(
            "it is not a regular file; a pipe, a device or a folder is not read".to_owned(),
        );
    }
    let mut text = String::new();
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE {
        return Err("the file is larger than 1 MiB; is it a configuration?".to_owned());
    }
    Ok(text)
}

fn report_unknown(source: &Source<'_>, root: &DeTable<'_>) {
    for (name, _) in root {
        if !SECTIONS.contains(&name.get_ref().as_ref()) {
            source.report(
                source.line(name.span().start),
                name.get_ref(),
                "there is no such section; known are [server], [cors], [cache], [keys] and [namespaces.NAME]",
            );
        }
    }
}

/// A misspelt variable has no effect, and nobody would notice. Others may belong to another program, or to Kubernetes,
/// which sets `CODEC_SERVER_PORT` for a service of the name `codec-server`.
fn report_unknown_variables(source: &Source<'_>) {
    let known = source.variables.borrow();
    let all = known
        .iter()
        .map(String::as_str)
        .chain(OTHER_VARIABLES)
        .collect::<Vec<_>>();
    for (name, value) in std::env::vars_os() {
        if let Some(name) = name.to_str()
            && ["CODEC_", "TEMPORAL_CODEC_"]
                .iter()
                .any(|start| name.starts_with(start))
            && value.to_str().is_none()
        {
            source.report(
                Place::Variable(name.to_owned()),
                "",
                "it is not valid UTF-8",
            );
        }
    }
    let mut names: Vec<String> = std::env::vars_os()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("CODEC_") && !all.contains(&name.as_str()))
        .collect();
    names.sort();
    for name in names {
        if let Some(similar) = closest(&name, all.iter().copied()) {
            let message = format!("there is no such variable; did you mean {similar}?");
            source.report(Place::Variable(name), "", message);
        } else {
            tracing::warn!(variable = name, "the variable has no effect");
        }
    }
}

/// A fault that may come from a mistake that was reported already is left out.
fn report_faults(source: &Source<'_>, faults: Vec<Fault>) {
    let reported: Vec<String> = source
        .problems
        .borrow()
        .iter()
        .map(|problem| problem.setting.clone())
        .collect();
    for fault in faults {
        let may_follow = |reported: &String| {
            fault.setting.starts_with(reported.as_str())
                || ["keys", "cache"]
                    .iter()
                    .any(|section| reported.starts_with(section))
        };
        if !reported.iter().any(may_follow) {
            let place = source.place_of(&fault.setting);
            source.report(place, &fault.setting, fault.message);
        }
    }
}

/// The namespace that the library's variables describe, and how its keys are opened.
fn of_variables(source: &Source<'_>) -> (BTreeMap<Namespace, NamespaceConfig>, KmsOptions) {
    let described = CodecSettings::from_variables(source.environment)
        .map_err(|error| (error.setting().to_owned(), error.reason().to_owned()));
    let described = described.and_then(|settings| {
        let config = NamespaceConfig::from_settings(&settings);
        let no_key = || {
            (
                "TEMPORAL_CODEC_KEY".to_owned(),
                "it names no key".to_owned(),
            )
        };
        Ok((config.ok_or_else(no_key)?, settings))
    });
    match described {
        Ok((config, settings)) => ([(settings.namespace, config)].into(), settings.kms),
        Err((variable, reason)) => {
            source.report(Place::Variable(variable), "", reason);
            (BTreeMap::new(), KmsOptions::default())
        }
    }
}

fn namespaces<'d>(
    source: &'d Source<'d>,
    found: Option<&'d Spanned<DeValue<'d>>>,
    keys: &mut KmsOptions,
    cache: &CacheLimits,
) -> BTreeMap<Namespace, NamespaceConfig> {
    let mut namespaces = BTreeMap::new();
    let table = found.and_then(|value| value.get_ref().as_table());
    if table.is_none_or(DeTable::is_empty) {
        let place = found.map(|value| source.line(value.span().start));
        source.report(
            place,
            "namespaces",
            "no namespace is configured; add [namespaces.default] with encrypt = [\"local://default\"]",
        );
    }
    for (name, value) in table.into_iter().flatten() {
        let path = format!("namespaces.{}", name.get_ref());
        if name.get_ref().contains('*') {
            source.report(
                source.line(name.span().start),
                &path,
                "a section is for one namespace by its name; there are no wildcards",
            );
        }
        let section = Section::new(source, path.clone(), Some(value));
        let read = NamespaceConfig::read(section, keys);
        match (Namespace::new(name.get_ref()), read) {
            (Ok(namespace), Some(mut config)) => {
                config.cache = cache.clone();
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
