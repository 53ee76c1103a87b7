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
        files.extend(clients.files());
        Ok(Self {
            config: loaded.settings,
            clients,
            files,
            origin,
        })
    }
}
