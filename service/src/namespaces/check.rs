//! Mistakes that a server refuses when it starts: settings that do not fit together, and missing files. No key is opened
//! and no service is called.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use temporal_kms_codec::{
    CacheLimits, Compression, ConfigurationError, Dek, DekLimits, Error, Format, KeyUri, Namespace,
    RequiredContext, Scheme, StaticKeys, kms::Kms,
};

use super::{
    DEFAULT_NAMESPACE, NamedNamespaces, NamespaceConfig, NamespacesConfig, unopened::Unopened,
};
use crate::{missing_key::OF_DECRYPTION, settings::Fault};

/// The setting with keys that only decrypt.
const DECRYPT: &str = "decrypt";

/// Settings of `namespaces` and `kms` that do not fit together.
#[must_use]
pub fn faults(namespaces: &NamespacesConfig, kms: &Kms) -> Vec<Fault> {
    let mut faults = services(kms);
    if let NamespacesConfig::Named(named) = namespaces {
        faults.extend(conflicts(named));
    }
    for (path, namespace, settings) in each(namespaces) {
        faults.extend(keys(&path, settings, kms));
        faults.extend(codec(&path, namespace, settings));
    }
    faults
}

/// Files and keys that the configuration names and that do not exist.
#[must_use]
pub fn missing_files(namespaces: &NamespacesConfig, kms: &Kms) -> Vec<Fault> {
    let sections = each(namespaces);
    let used: BTreeSet<Scheme> = sections
        .iter()
        .flat_map(|(_, _, settings)| keys_of(settings))
        .map(|(_, key)| key.scheme())
        .collect();
    let mut faults = Vec::new();
    for service in kms.services() {
        let settings = service.settings();
        let is_used = used.contains(&service.scheme());
        for error in service.missing_files() {
            if settings
                .iter()
                .any(|setting| setting.name() == error.setting())
            {
                faults.push(of_setting(&error));
            } else if is_used {
                // A service that is not used does not need the files that its library finds.
                faults.push(Fault::new(error.setting(), error.reason()));
            }
        }
    }
    for (path, _, settings) in sections {
        for (id, source) in &settings.static_keys {
            if let Some(file) = source.file().filter(|file| !file.exists()) {
                let message = format!("{}: there is no such file", file.display());
                faults.push(Fault::new(format!("{path}static_keys.{id}"), message));
            }
        }
        for (setting, key) in keys_of(settings) {
            let service = kms.service(key.scheme());
            if let Some(Err(error)) = service.map(|service| service.check_key_file(key)) {
                let error = if setting == DECRYPT {
                    error.with_remedy(OF_DECRYPTION)
                } else {
                    error
                };
                let fault = Fault::new(format!("{path}{setting}"), error.reason());
                faults.push(fault.following_from(name(&error)));
            }
        }
    }
    faults
}

/// The name of a service's setting in a file.
fn name(error: &ConfigurationError) -> String {
    format!("keys.{}", error.setting())
}

fn of_setting(error: &ConfigurationError) -> Fault {
    Fault::new(name(error), error.reason())
}

/// The namespaces, each with the prefix of its settings' names. A pattern is a name that could be used, too.
fn each(namespaces: &NamespacesConfig) -> Vec<(String, &str, &NamespaceConfig)> {
    match namespaces {
        NamespacesConfig::Named(named) => named
            .sections()
            .map(|(name, settings)| (format!("namespaces.{name}."), name, settings))
            .collect(),
        NamespacesConfig::Any(settings) => vec![(String::new(), DEFAULT_NAMESPACE, settings)],
    }
}

/// Pairs of patterns that describe a name equally well.
fn conflicts(named: &NamedNamespaces) -> impl Iterator<Item = Fault> {
    named.patterns.conflicts().map(|(one, other)| {
        let message = format!(
            "a name can have the form of `{one}` and of `{other}`, and neither is closer; make one of them longer, or name the namespace"
        );
        let fault = Fault::new(format!("namespaces.{one}"), message);
        fault.following_from(format!("namespaces.{other}"))
    })
}

fn keys_of(settings: &NamespaceConfig) -> impl Iterator<Item = (&'static str, &KeyUri)> {
    let encrypt = settings.encrypt.iter().map(|key| ("encrypt", key));
    let decrypt = settings.decrypt.iter().map(|key| (DECRYPT, key));
    encrypt.chain(decrypt)
}

fn services(kms: &Kms) -> Vec<Fault> {
    let errors = kms.services().flat_map(|service| service.check());
    let mut faults: Vec<_> = errors.map(|error| of_setting(&error)).collect();
    if let Err(error) = kms.calls().check() {
        faults.push(Fault::new("keys.calls", error.reason()));
    }
    faults
}

/// Settings that the services of the keys need.
fn keys(path: &str, settings: &NamespaceConfig, kms: &Kms) -> Vec<Fault> {
    let missing = |(setting, key): (&str, &KeyUri)| {
        let error = kms.check_key(key).err()?;
        let message = format!("{key}: {}", error.reason());
        let fault = Fault::new(format!("{path}{setting}"), message);
        Some(fault.following_from(name(&error)))
    };
    keys_of(settings).filter_map(missing).collect()
}

/// The library's own checks: a codec is built, with keys that are not opened. The library reports one mistake at a time.
/// So each setting with a mistake is replaced, until the codec can be built.
fn codec(path: &str, namespace: &str, settings: &NamespaceConfig) -> Vec<Fault> {
    let namespace = match Namespace::new(namespace) {
        Ok(namespace) => namespace,
        Err(error) => return vec![Fault::new(path, error.to_string())],
    };
    let mut faults = Vec::new();
    let mut settings = settings.clone();
    while let Err(Error::Configuration(error)) = build(&settings, namespace.clone()) {
        let known = faults.len();
        let setting = match error.setting() {
            "encrypting keys" => format!("{path}encrypt"),
            "data key limits" => format!("{path}dek"),
            "data key cache" => "cache".to_owned(),
            "encryption context" | "context" => format!("{path}context"),
            setting => format!("{path}{setting}"),
        };
        faults.push(Fault::new(setting, error.reason()));
        if known >= MOST_FAULTS || !take_out(&mut settings, &error) {
            break;
        }
    }
    faults
}

/// More than the settings that [`take_out`] replaces.
const MOST_FAULTS: usize = 8;

fn build(settings: &NamespaceConfig, namespace: Namespace) -> Result<(), Error> {
    let unopened = |key: &KeyUri| Arc::new(Unopened::new(key.clone()));
    let ids = settings.static_keys.keys();
    let unread = ids.fold(StaticKeys::new(), |keys, id| {
        keys.with(id, Dek::new([0; Dek::LEN]))
    });
    let mut builder = settings.builder(namespace).static_keys(unread);
    for key in &settings.encrypt {
        builder = builder.encrypt_with(unopened(key));
    }
    for key in &settings.decrypt {
        builder = builder.decrypt_with(unopened(key));
    }
    builder.build().map(drop)
}

/// Replaces the setting that `error` is about by a correct one. `false` where that is not possible.
fn take_out(settings: &mut NamespaceConfig, error: &ConfigurationError) -> bool {
    match error.setting() {
        "data key limits" => settings.dek_limits = DekLimits::default(),
        "data key cache" => settings.cache = CacheLimits::default(),
        "compression" => settings.compression = Compression::None,
        "encrypting keys" => settings.encrypt.truncate(1),
        "encryption context" | "context" => {
            settings.context = BTreeMap::new();
            settings.require_context = RequiredContext::default();
        }
        "require_context" => settings.require_context = RequiredContext::default(),
        "decrypt_formats" => settings.decrypt_formats = None,
        "static_keys" => {
            settings.static_keys = BTreeMap::new();
            let formats = settings.decrypt_formats.iter_mut().flatten();
            for format in formats.filter(|format| **format == Format::Static) {
                *format = settings.format;
            }
        }
        "format" if !settings.format.is_written() => settings.format = Format::default(),
        _ => return false,
    }
    true
}
