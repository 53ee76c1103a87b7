//! What the clients of key services are made from: whether a client has to be made again.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde_json::Value;
use temporal_kms_codec::{
    KeyUri, Scheme,
    kms::{Kms, Setting, SettingKind},
};

use super::SECTION;
use crate::{arguments, settings::Found, watch::Fingerprint};

/// What the clients of key services were made from: settings, and the files that they name.
#[derive(Clone, Default)]
pub struct Clients {
    services: BTreeMap<Scheme, Made>,
    /// `[keys.calls]`.
    calls: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Made {
    settings: BTreeMap<String, Value>,
    /// Keys that say more than their names, such as the PIN of a token.
    keys: Vec<String>,
    files: BTreeMap<PathBuf, Fingerprint>,
}

impl Clients {
    /// Those of a configuration that says `found`.
    #[must_use]
    pub fn of(found: &[Found], kms: &Kms) -> Self {
        let mut clients = Self::default();
        let set: BTreeMap<&str, &Value> = found
            .iter()
            .map(|found| (found.setting.as_str(), &found.value))
            .collect();
        for service in kms.services() {
            let mut made = Made::default();
            for setting in service.settings() {
                let name = format!("{SECTION}.{}", setting.name());
                let value = set.get(name.as_str()).map(|value| (*value).clone());
                let mut variables = setting.variable_names().iter();
                let value = value.or_else(|| {
                    variables.find_map(|name| arguments::variable(name).map(Value::from))
                });
                let Some(value) = value else { continue };
                if is_path(setting)
                    && let Some(path) = value.as_str()
                {
                    made.add_file(path);
                }
                made.settings.insert(name, value);
            }
            let of_library = service.library_settings().iter();
            for variable in of_library
                .filter(|setting| is_path(setting))
                .flat_map(Setting::variable_names)
            {
                if let Some(path) = arguments::variable(variable) {
                    made.add_file(&path);
                }
            }
            for file in service.other_files() {
                made.add_file(&file);
            }
            clients.services.insert(service.scheme(), made);
        }
        for (name, value) in set {
            if name.starts_with("keys.calls.") {
                clients.calls.insert(name.to_owned(), value.clone());
            } else if name.starts_with("namespaces.") {
                clients.add_keys(value);
            }
        }
        clients
    }

    /// Keys whose URIs say more than their names: the services keep it with their settings.
    fn add_keys(&mut self, value: &Value) {
        let texts = value.as_array().into_iter().flatten();
        for text in texts.filter_map(Value::as_str) {
            let scheme = match text.parse::<KeyUri>() {
                Ok(key) if key.to_string() == text => continue,
                Ok(key) => Some(key.scheme()),
                Err(_) => text
                    .split(':')
                    .next()
                    .and_then(|name| Scheme::new(name).ok()),
            };
            if let Some(made) = scheme.and_then(|scheme| self.services.get_mut(&scheme)) {
                made.keys.push(text.to_owned());
            }
        }
    }

    /// The files that the clients read when they are made.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.services
            .values()
            .flat_map(|made| made.files.keys().map(PathBuf::as_path))
    }

    /// Whether a client of `other` does the same as one of these, for keys of this scheme.
    #[must_use]
    pub fn are_equal(&self, other: &Self, scheme: Scheme) -> bool {
        self.calls == other.calls && self.services.get(&scheme) == other.services.get(&scheme)
    }
}

fn is_path(setting: &Setting) -> bool {
    matches!(
        setting.kind(),
        SettingKind::Path | SettingKind::AbsolutePath
    )
}

impl Made {
    fn add_file(&mut self, path: &(impl AsRef<Path> + ?Sized)) {
        let path = path.as_ref().to_owned();
        let fingerprint = Fingerprint::of(&path);
        self.files.insert(path, fingerprint);
    }
}

/// Settings can be secret.
impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.services.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn clients(text: &str) -> Clients {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("codec.toml");
        std::fs::write(&file, text).unwrap();
        let loaded = Settings::new("TKC_TEST_").load_with_sources(Some(&file), |document| {
            let (_, kms) = crate::namespaces::read(document);
            kms
        });
        let loaded = loaded.unwrap();
        Clients::of(&loaded.found, &loaded.settings)
    }

    const NAMESPACE: &str = "[namespaces.a]\nencrypt = [\"local://a\"]\n";

    #[test]
    fn a_setting_of_one_service_does_not_change_the_clients_of_another() {
        let one = clients(&format!("[keys]\nlocal_keyring = \"a\"\n{NAMESPACE}"));
        let other = clients(&format!("[keys]\nlocal_keyring = \"b\"\n{NAMESPACE}"));
        assert!(!one.are_equal(&other, Scheme::LOCAL));
        assert!(one.are_equal(&other, Scheme::AWS_KMS));
        assert!(one.are_equal(&one.clone(), Scheme::LOCAL));
    }

    #[test]
    fn the_policy_of_calls_is_part_of_every_client() {
        let one = clients(NAMESPACE);
        let other = clients(&format!("[keys.calls]\nmax_attempts = 2\n{NAMESPACE}"));
        assert!(!one.are_equal(&other, Scheme::LOCAL) && !one.are_equal(&other, Scheme::GCP_KMS));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let one = clients(&format!(
            "[keys]\nlocal_keyring = \"secret-folder\"\n{NAMESPACE}"
        ));
        assert!(!format!("{one:?}").contains("secret-folder"));
    }
}
