//! Mistakes that a server refuses when it starts: settings that do not fit together, and missing files. No key is opened
//! and no service is called.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use http::Uri;
use temporal_kms_codec::{
    Compression, ConfigurationError, DekLimits, Error, KeyUri, KmsKind, Namespace, RequiredContext,
    endpoint, kms::KmsOptions,
};

use super::{DEFAULT_NAMESPACE, NamespaceConfig, NamespacesConfig, unopened::Unopened};
use crate::settings::Fault;

/// Settings of `namespaces` and `options` that do not fit together.
#[must_use]
pub fn faults(namespaces: &NamespacesConfig, options: &KmsOptions) -> Vec<Fault> {
    let mut faults = services(options);
    for (path, namespace, settings) in each(namespaces) {
        faults.extend(keys(&path, settings, options));
        faults.extend(codec(&path, namespace, settings));
    }
    faults
}

/// Files and keys that the configuration names and that do not exist.
#[must_use]
pub fn missing_files(namespaces: &NamespacesConfig, options: &KmsOptions) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut file = |setting: &str, path: Option<&Path>| {
        if let Some(path) = path.filter(|path| !path.is_file()) {
            faults.push(Fault::new(
                setting,
                format!(
                    "there is no file {}; correct the path, or create it",
                    path.display()
                ),
            ));
        }
    };
    file("keys.gcp_credentials", options.gcp_credentials.as_deref());
    #[cfg(feature = "pkcs11")]
    {
        use temporal_kms_codec::kms::pkcs11::PinSource;
        file("keys.pkcs11_module", options.pkcs11.module.as_deref());
        if let Some(PinSource::File(pin)) = &options.pkcs11.pin {
            file("keys.pkcs11_pin_file", Some(pin));
        }
    }
    let Some(keyring) = &options.local_keyring else {
        return faults;
    };
    for (path, _, settings) in each(namespaces) {
        let missing = keys_of(settings).filter(|(_, key)| {
            let file = format!("{}.json", key.resource());
            key.kms() == KmsKind::Local && !keyring.join(file).exists()
        });
        faults.extend(missing.map(|(setting, key)| {
            let keyring = keyring.display();
            let message = format!(
                "no key {key} in {keyring}; create it: codec-server keys create {key} --keyring {keyring}"
            );
            Fault::new(format!("{path}{setting}"), message).following_from(LOCAL_KEYRING)
        }));
    }
    faults
}

const LOCAL_KEYRING: &str = "keys.local_keyring";

/// The namespaces, each with the prefix of its settings' names.
fn each(namespaces: &NamespacesConfig) -> Vec<(String, Option<&Namespace>, &NamespaceConfig)> {
    match namespaces {
        NamespacesConfig::Named(named) => named
            .iter()
            .map(|(name, settings)| (format!("namespaces.{name}."), Some(name), settings))
            .collect(),
        NamespacesConfig::Any(settings) => vec![(String::new(), None, settings)],
    }
}

fn keys_of(settings: &NamespaceConfig) -> impl Iterator<Item = (&'static str, &KeyUri)> {
    let encrypt = settings.encrypt.iter().map(|key| ("encrypt", key));
    let decrypt = settings.decrypt.iter().map(|key| ("decrypt", key));
    encrypt.chain(decrypt)
}

fn services(options: &KmsOptions) -> Vec<Fault> {
    let mut faults = Vec::new();
    if let Some(url) = &options.gcp_endpoint {
        let host = url.parse::<Uri>().ok();
        let host = host.as_ref().and_then(Uri::host);
        let reason = match endpoint::check(url) {
            Ok(()) if host.is_some_and(endpoint::is_loopback) => None,
            Ok(()) => Some(
                "it must be an emulator on this machine, such as http://127.0.0.1:8080; leave it out for Cloud KMS itself"
                    .to_owned(),
            ),
            Err(reason) => Some(reason.to_string()),
        };
        faults.extend(reason.map(|reason| Fault::new("keys.gcp_endpoint", reason)));
    }
    #[cfg(feature = "aws-kms")]
    for (setting, url) in [
        ("keys.aws_endpoint", &options.aws.endpoint),
        ("keys.aws_sts_endpoint", &options.aws.sts_endpoint),
    ] {
        if let Some(Err(reason)) = url.as_deref().map(endpoint::check) {
            faults.push(Fault::new(setting, reason));
        }
    }
    if let Err(error) = options.calls.check() {
        faults.push(Fault::new("keys.calls", error.reason()));
    }
    faults
}

/// Settings that the services of the keys need.
fn keys(path: &str, settings: &NamespaceConfig, options: &KmsOptions) -> Vec<Fault> {
    let missing = |(setting, key): (&str, &KeyUri)| {
        let (from, missing) = match key.kms() {
            KmsKind::Local if options.local_keyring.is_none() => (
                LOCAL_KEYRING,
                "name the folder of local:// keys: local_keyring under [keys], or TEMPORAL_CODEC_KEYRING",
            ),
            #[cfg(feature = "pkcs11")]
            KmsKind::Pkcs11 if options.pkcs11.module.is_none() => (
                "keys.pkcs11_module",
                "name the vendor's library: pkcs11_module under [keys], or PKCS11_MODULE",
            ),
            _ => return None,
        };
        let fault = Fault::new(format!("{path}{setting}"), format!("{key}: {missing}"));
        Some(fault.following_from(from))
    };
    keys_of(settings).filter_map(missing).collect()
}

/// The library's own checks: a codec is built, with keys that are not opened. The library reports one mistake at a time.
/// So each setting with a mistake is replaced, until the codec can be built.
fn codec(path: &str, namespace: Option<&Namespace>, settings: &NamespaceConfig) -> Vec<Fault> {
    let default = || Namespace::new(DEFAULT_NAMESPACE);
    let namespace = match namespace.cloned().map_or_else(default, Ok) {
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
    let mut builder = settings.builder(namespace);
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
        "data key cache" => settings.cache = Default::default(),
        "compression" => settings.compression = Compression::None,
        "encrypting keys" => settings.encrypt.truncate(1),
        "encryption context" | "context" => {
            settings.context = BTreeMap::new();
            settings.require_context = RequiredContext::default();
        }
        "require_context" => settings.require_context = RequiredContext::default(),
        "decrypt_formats" => settings.decrypt_formats = None,
        _ => return false,
    }
    true
}
