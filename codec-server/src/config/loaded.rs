//! A configuration with what it takes to read it again, and to see that it has changed.

use std::path::{Path, PathBuf};

use temporal_kms_codec_service::{keys::Clients, watch::Watch};

use super::{Config, Problems, settings};

/// A configuration as a server starts with it, and the files that it came from.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    pub(crate) config: Config,
    /// What the clients of key services are made from.
    pub(crate) clients: Clients,
    /// The configuration and the files that it names.
    pub(crate) files: Watch,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Origin {
    File(PathBuf),
    Environment,
    /// The program itself.
    Fixed,
}

impl LoadedConfig {
    /// Reads the file at `path`, as [`Config::load`] does.
    ///
    /// # Errors
    /// Every mistake, with its line.
    pub fn from_file(path: &Path) -> Result<Self, Problems> {
        Self::read(Origin::File(path.to_owned()))
    }

    /// Reads the variables, as [`Config::from_environment`] does.
    ///
    /// # Errors
    /// Every mistake in the variables.
    pub fn from_environment() -> Result<Self, Problems> {
        Self::read(Origin::Environment)
    }

    /// A configuration that never changes.
    #[must_use]
    pub fn fixed(config: Config) -> Self {
        Self {
            config,
            clients: Clients::default(),
            files: Watch::default(),
            origin: Origin::Fixed,
        }
    }

    /// The same configuration as it is now.
    ///
    /// # Errors
    /// Every mistake.
    pub(crate) fn again(&self) -> Result<Self, Problems> {
        Self::read(self.origin.clone())
    }

    /// Whether it can be read again.
    pub(crate) fn can_change(&self) -> bool {
        !matches!(self.origin, Origin::Fixed)
    }

    fn read(origin: Origin) -> Result<Self, Problems> {
        let path = match &origin {
            Origin::File(path) => Some(path.as_path()),
            Origin::Environment | Origin::Fixed => None,
        };
        let mut files = Watch::default();
        files.extend(path);
        let loaded = settings().load_with_sources(path, Config::read_and_find_files)?;
        let clients = Clients::of(&loaded.found, &loaded.settings.keys);
        files.extend(&loaded.files);
        let static_keys = loaded
            .found
            .iter()
            .filter(|found| found.setting.ends_with(".static_keys"))
            .filter_map(|found| found.value.as_object());
        let static_keys = static_keys.flat_map(|keys| keys.values().filter_map(|key| key.as_str()));
        // Others come from variables, which do not change.
        files.extend(static_keys.filter(|source| source.starts_with('/')));
        files.extend(clients.files());
        Ok(Self {
            config: loaded.settings,
            clients,
            files,
            origin,
        })
    }
}

#[cfg(test)]
#[cfg(feature = "pkcs11")]
mod tests {
    use super::*;

    #[test]
    fn the_pin_of_one_key_and_static_keys_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (pin, key) = (file("pin", "1234"), file("key", &"0".repeat(64)));
        let module = file("module.so", "");
        let text = format!(
            "[keys]\npkcs11_module = '{}'\n[namespaces.a]\n\
             encrypt = [\"pkcs11:token=t;object=o?pin-source=file:{}\"]\n\
             decrypt_formats = [\"envelope\", \"static\"]\nstatic_keys = {{ a = '{}' }}\n",
            module.display(),
            pin.display(),
            key.display()
        );
        let path = file("codec.toml", &text);
        for changed in [pin, key] {
            let mut files = LoadedConfig::from_file(&path).unwrap().files;
            assert!(!files.has_changed());
            let text = std::fs::read_to_string(&changed).unwrap();
            std::fs::write(&changed, text.replace('0', "1") + "\n").unwrap();
            // It has to look the same twice.
            assert!(!files.has_changed() && files.has_changed(), "{changed:?}");
        }
    }
}
