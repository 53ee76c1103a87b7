//! What a server would refuse when it starts: settings that do not fit together, and files that do not exist. No key is
//! opened and no service is called.

mod unopened;

use std::{path::Path, sync::Arc};

use http::Uri;
use temporal_kms_codec::{Error, KeyUri, KmsKind, Namespace, endpoint, kms::KmsOptions};

use self::unopened::Unopened;
use super::{Config, NamespaceConfig, NamespacesConfig, Problem, Problems};

/// A mistake, by the name of the setting that it is in.
pub(super) struct Fault {
    pub(super) setting: String,
    pub(super) message: String,
}

impl Config {
    /// Checks everything that can be checked without opening a key.
    ///
    /// # Errors
    /// Every mistake. Its setting is named as in a file.
    pub fn validate(&self) -> Result<(), Problems> {
        let faults = faults(self).into_iter().chain(missing_files(self));
        let problems: Vec<Problem> = faults
            .map(|fault| Problem {
                place: None,
                setting: fault.setting,
                message: fault.message,
            })
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        Err(Problems {
            file: String::new(),
            problems,
        })
    }
}

/// Settings that do not fit together.
pub(super) fn faults(config: &Config) -> Vec<Fault> {
    let mut faults = Faults::default();
    let server = &config.server;
    if server.listen.port() != 0 && server.admin_listen == Some(server.listen) {
        faults.add("server.admin_listen", "it is the address of `listen` too");
    }
    services(&config.keys, &mut faults);
    for (path, namespace, settings) in namespaces(config) {
        keys(&path, settings, &config.keys, &mut faults);
        codec(&path, namespace, settings, &mut faults);
    }
    faults.0
}

/// Files and keys that are named and do not exist.
pub(super) fn missing_files(config: &Config) -> Vec<Fault> {
    let mut faults = Faults::default();
    let options = &config.keys;
    let mut file = |setting: &str, path: Option<&Path>| {
        if let Some(path) = path.filter(|path| !path.is_file()) {
            faults.add(setting, format!("there is no file {}", path.display()));
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
        return faults.0;
    };
    for (path, _, settings) in namespaces(config) {
        for (setting, key) in keys_of(settings) {
            if key.kms() == KmsKind::Local
                && !keyring.join(format!("{}.json", key.resource())).exists()
            {
                let keyring = keyring.display();
                faults.add(
                    format!("{path}{setting}"),
                    format!(
                        "no key {key} in {keyring}; create it: codec-server keys create {key} --keyring {keyring}"
                    ),
                );
            }
        }
    }
    faults.0
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, setting: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault {
            setting: setting.into(),
            message: message.into(),
        });
    }
}

/// The namespaces, each with what the names of its settings begin with.
fn namespaces(config: &Config) -> Vec<(String, Option<&Namespace>, &NamespaceConfig)> {
    match &config.namespaces {
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

fn services(options: &KmsOptions, faults: &mut Faults) {
    if let Some(url) = &options.gcp_endpoint {
        let host = url.parse::<Uri>().ok();
        let host = host.as_ref().and_then(Uri::host);
        match endpoint::check(url) {
            Ok(()) if !host.is_some_and(endpoint::is_loopback) => faults.add(
                "keys.gcp_endpoint",
                "it must be an emulator on this machine, such as http://127.0.0.1:8080; leave it out for Cloud KMS itself",
            ),
            Ok(()) => {}
            Err(reason) => faults.add("keys.gcp_endpoint", reason),
        }
    }
    #[cfg(feature = "aws-kms")]
    for (setting, url) in [
        ("keys.aws_endpoint", &options.aws.endpoint),
        ("keys.aws_sts_endpoint", &options.aws.sts_endpoint),
    ] {
        if let Some(Err(reason)) = url.as_deref().map(endpoint::check) {
            faults.add(setting, reason);
        }
    }
    if let Err(error) = options.calls.check() {
        faults.add("keys.calls", error.reason());
    }
}

/// What the keys' services need.
fn keys(path: &str, settings: &NamespaceConfig, options: &KmsOptions, faults: &mut Faults) {
    for (setting, key) in keys_of(settings) {
        let missing = match key.kms() {
            KmsKind::Local if options.local_keyring.is_none() => {
                "name the folder of local:// keys: local_keyring under [keys], or TEMPORAL_CODEC_KEYRING"
            }
            #[cfg(feature = "pkcs11")]
            KmsKind::Pkcs11 if options.pkcs11.module.is_none() => {
                "name the vendor's library: pkcs11_module under [keys], or PKCS11_MODULE"
            }
            _ => continue,
        };
        faults.add(format!("{path}{setting}"), format!("{key}: {missing}"));
    }
}

/// The library's own checks: a codec is built, with keys that are not opened.
fn codec(
    path: &str,
    namespace: Option<&Namespace>,
    settings: &NamespaceConfig,
    faults: &mut Faults,
) {
    let namespace = match namespace
        .cloned()
        .map_or_else(|| Namespace::new("default"), Ok)
    {
        Ok(namespace) => namespace,
        Err(error) => return faults.add(path, error.to_string()),
    };
    let unopened = |key: &KeyUri| Arc::new(Unopened::new(key.clone()));
    let mut builder = settings.builder(namespace);
    for key in &settings.encrypt {
        builder = builder.encrypt_with(unopened(key));
    }
    for key in &settings.decrypt {
        builder = builder.decrypt_with(unopened(key));
    }
    let Err(Error::Configuration(error)) = builder.build() else {
        return;
    };
    let setting = match error.setting() {
        "encrypting keys" => format!("{path}encrypt"),
        "data key limits" => format!("{path}dek"),
        "data key cache" => "cache".to_owned(),
        "encryption context" | "context" => format!("{path}context"),
        setting => format!("{path}{setting}"),
    };
    faults.add(setting, error.reason());
}
