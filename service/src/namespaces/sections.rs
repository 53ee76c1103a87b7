//! `[namespaces.NAME]`, `[cache]` and `[keys]`, or the library's own variables where there is no file.

use std::collections::BTreeMap;

use temporal_kms_codec::{CacheLimits, CodecSettings, ConfigurationError, Namespace, kms::Kms};

use super::{
    NamedNamespaces, NamespaceConfig, NamespacesConfig, Pattern, Patterns, config::read_cache,
};
use crate::{keys, settings::Document};

/// Reads the namespaces of a configuration, and how their keys are opened. Without a file, the library's variables
/// ([`CodecSettings::from_env`]) describe one namespace.
#[must_use]
pub fn read(document: &Document<'_>) -> (NamespacesConfig, Kms) {
    let (namespaces, keys) = if document.has_file() {
        let mut keys = keys::read(document, keys::from_variables(document));
        let cache = read_cache(document.section("cache"), CacheLimits::default());
        let named = named(document, &mut keys, &cache);
        (named, keys)
    } else {
        let (described, options) = described(document);
        let keys = keys::read(document, options);
        // The section is read even where no namespace is described, so that every mistake is reported.
        let before = described.as_ref().map(|(_, config)| config.cache.clone());
        let cache = read_cache(document.section("cache"), before.unwrap_or_default());
        let namespaces =
            described.map(|(namespace, config)| (namespace, NamespaceConfig { cache, ..config }));
        let exact = namespaces.into_iter().collect();
        (NamedNamespaces::new(exact, Patterns::default()), keys)
    };
    (NamespacesConfig::Named(namespaces), keys)
}

fn named(document: &Document<'_>, keys: &mut Kms, cache: &CacheLimits) -> NamedNamespaces {
    let sections = document.named_sections("namespaces");
    if sections.is_empty() {
        document.report_section(
            "namespaces",
            "no namespace is configured; add [namespaces.default] with encrypt = [\"local://default\"]",
        );
    }
    let (mut exact, mut patterns) = (BTreeMap::new(), Vec::new());
    for (name, section) in sections {
        let named = Name::new(&name);
        if let Err(error) = &named {
            section.report_name(error.reason());
        }
        let config = NamespaceConfig::read(section, keys, cache);
        match (named, config) {
            (Ok(Name::One(namespace)), Some(config)) => {
                exact.insert(namespace, config);
            }
            (Ok(Name::Pattern(pattern)), Some(config)) => patterns.push((pattern, config)),
            _ => {}
        }
    }
    NamedNamespaces::new(exact, patterns.into_iter().collect())
}

/// What the name of a section means.
enum Name {
    One(Namespace),
    Pattern(Pattern),
}

impl Name {
    fn new(name: &str) -> Result<Self, ConfigurationError> {
        if Pattern::is_in(name) {
            Pattern::new(name).map(Self::Pattern)
        } else {
            Namespace::new(name).map(Self::One)
        }
    }
}

/// The namespace that the library's variables describe, and how its keys are opened.
fn described(document: &Document<'_>) -> (Option<(Namespace, NamespaceConfig)>, Kms) {
    let settings = match CodecSettings::from_variables(document.environment()) {
        Ok(settings) => settings,
        Err(error) => {
            document.report_variable(error.setting(), "", error.reason());
            return (None, Kms::default());
        }
    };
    let Some(config) = NamespaceConfig::from_settings(&settings) else {
        document.report_variable("TEMPORAL_CODEC_KEY", "", "it names no key");
        return (None, Kms::default());
    };
    (Some((settings.namespace, config)), settings.kms)
}
