//! `[namespaces.NAME]`, `[cache]` and `[keys]`, or the library's own variables where there is no file.

use std::collections::BTreeMap;

use temporal_kms_codec::{CacheLimits, CodecSettings, Namespace, kms::Kms};

use super::{NamespaceConfig, NamespacesConfig};
use crate::{
    keys,
    settings::{Document, values},
};

/// Reads the namespaces of a configuration, and how their keys are opened. Without a file, the library's variables
/// ([`CodecSettings::from_env`]) describe one namespace.
#[must_use]
pub fn read(document: &Document<'_>) -> (NamespacesConfig, Kms) {
    let (namespaces, keys) = if document.has_file() {
        let mut keys = keys::read(document, keys::from_variables(document));
        let cache = cache(document, CacheLimits::default());
        (named(document, &mut keys, &cache), keys)
    } else {
        let (described, options) = described(document);
        let keys = keys::read(document, options);
        // The section is read even where no namespace is described, so that every mistake is reported.
        let before = described.as_ref().map(|(_, config)| config.cache.clone());
        let cache = cache(document, before.unwrap_or_default());
        let namespaces =
            described.map(|(namespace, config)| (namespace, NamespaceConfig { cache, ..config }));
        (namespaces.into_iter().collect(), keys)
    };
    (NamespacesConfig::Named(namespaces), keys)
}

/// `data_keys`: how many unwrapped data keys each namespace keeps for decoding. `ttl`: for how long. Settings that are
/// not there stay as in `cache`.
fn cache(document: &Document<'_>, mut cache: CacheLimits) -> CacheLimits {
    let mut section = document.section("cache");
    section.set("data_keys", &mut cache.max_keys, values::count);
    section.set("ttl", &mut cache.ttl, values::timeout);
    section.finish();
    cache
}

fn named(
    document: &Document<'_>,
    keys: &mut Kms,
    cache: &CacheLimits,
) -> BTreeMap<Namespace, NamespaceConfig> {
    let sections = document.named_sections("namespaces");
    if sections.is_empty() {
        document.report_section(
            "namespaces",
            "no namespace is configured; add [namespaces.default] with encrypt = [\"local://default\"]",
        );
    }
    let mut namespaces = BTreeMap::new();
    for (name, section) in sections {
        if name.contains('*') {
            section
                .report_name("a section is for one namespace by its name; there are no wildcards");
        }
        let namespace = match Namespace::new(&name) {
            Ok(namespace) => Some(namespace),
            Err(error) => {
                section.report_name(error.to_string());
                None
            }
        };
        let config = NamespaceConfig::read(section, keys);
        if let (Some(namespace), Some(mut config)) = (namespace, config) {
            config.cache = cache.clone();
            namespaces.insert(namespace, config);
        }
    }
    namespaces
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
