//! The settings of local keys.

use std::path::PathBuf;

use temporal_kms::{
    AnyFolder, ConfigurationError, Setting, SettingKind, SettingRow, SettingTable, Variables,
};

/// The name of the setting for the folder.
pub(super) const KEYRING: &str = "local_keyring";

/// What `KMS_PROVIDER` calls the local keyring.
pub(super) const PROVIDER_NAME: &str = "local";

/// Every setting of local keys.
pub(super) const SETTINGS: SettingTable<LocalOptions> = SettingTable(&[SettingRow::new(
    Setting::new(KEYRING, SettingKind::Path, "The folder of `local://` keys.")
        .variables(&["TEMPORAL_CODEC_KEYRING"])
        .any_folder(AnyFolder::Anything)
        .flag("keyring", "DIR")
        .example("\"/var/lib/codec-server/keys\"")
        .suggested(),
    |options, value| options.keyring = value.into_path(),
)]);

/// Where local keys are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalOptions {
    /// The folder of `local://` keys. A relative path is relative to the working directory at the time at which a
    /// [`LocalKms`](crate::LocalKms) is made.
    pub keyring: Option<PathBuf>,
    /// Whether missing keys are created. A signing key is created for ECDSA on P-256. A mistyped name then silently
    /// gives a new key, so programs that set this must tell their users. Default: a missing key is an error with the
    /// command that creates it.
    pub create_missing: bool,
}

impl LocalOptions {
    /// The options from environment variables: `TEMPORAL_CODEC_KEYRING` is the folder.
    ///
    /// # Errors
    /// When the value of a variable is not valid.
    pub fn from_variables(variable: Variables<'_>) -> Result<Self, ConfigurationError> {
        let mut options = Self::default();
        SETTINGS.read_variables(&mut options, variable)?;
        Ok(options)
    }

    /// Sets [`keyring`](Self::keyring).
    #[must_use]
    pub fn with_keyring(mut self, folder: impl Into<PathBuf>) -> Self {
        self.keyring = Some(folder.into());
        self
    }

    /// Sets [`create_missing`](Self::create_missing).
    #[must_use]
    pub fn with_create_missing(mut self, create: bool) -> Self {
        self.create_missing = create;
        self
    }
}
