//! The settings of Cloud KMS.

use std::path::PathBuf;

use temporal_kms::{ConfigurationError, Setting, SettingKind, SettingRow, SettingTable, Variables};

/// Every setting of Cloud KMS.
pub(super) const SETTINGS: SettingTable<GcpOptions> = SettingTable(&[
    SettingRow::new(
        Setting::new(
            "gcp_credentials",
            SettingKind::AbsolutePath,
            "A credentials file of Google Cloud [default: the application default credentials].",
        )
        .flag("gcp-credentials", "FILE")
        .example("\"/etc/codec-server/gcp.json\""),
        |options, value| options.credentials = value.into_path(),
    ),
    SettingRow::new(
        Setting::new(
            "gcp_endpoint",
            SettingKind::Url,
            "Another endpoint of Cloud KMS: a private one of Google, such as `https://cloudkms-NAME.p.googleapis.com`, or an emulator on this machine, such as `http://127.0.0.1:8080`.",
        )
        .variables(&["GCP_KMS_ENDPOINT"])
        .flag("gcp-endpoint", "URL")
        .example("\"https://cloudkms-NAME.p.googleapis.com\""),
        |options, value| options.endpoint = value.into_text(),
    ),
]);

/// The endpoint of Cloud KMS, and the credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcpOptions {
    /// The endpoint of `gcp-kms://` keys instead of the public one: another one of Google, such as
    /// `https://cloudkms-NAME.p.googleapis.com` of Private Service Connect, or an emulator on this machine, such as
    /// `http://127.0.0.1:8080`. Any other host is refused. An emulator gets credentials only if `credentials` is set.
    pub endpoint: Option<String>,
    /// A credentials file of Google Cloud. Without it, the application default credentials are used, except for an
    /// emulator: `GOOGLE_APPLICATION_CREDENTIALS`, those of `gcloud`, or the metadata server's.
    pub credentials: Option<PathBuf>,
}

impl GcpOptions {
    /// The options from environment variables: `GCP_KMS_ENDPOINT` is [`endpoint`](Self::endpoint).
    ///
    /// # Errors
    /// When the value of a variable is not valid.
    pub fn from_variables(variable: Variables<'_>) -> Result<Self, ConfigurationError> {
        let mut options = Self::default();
        SETTINGS.read_variables(&mut options, variable)?;
        Ok(options)
    }

    /// Sets [`endpoint`](Self::endpoint).
    #[must_use]
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Sets [`credentials`](Self::credentials).
    #[must_use]
    pub fn with_credentials(mut self, file: impl Into<PathBuf>) -> Self {
        self.credentials = Some(file.into());
        self
    }
}
