//! The settings of Cloud KMS.

use std::path::PathBuf;

use temporal_kms::{
    AnyFolder, ConfigurationError, KeyUri, Scheme, Setting, SettingKind, SettingRow, SettingTable,
    Variables,
};

/// What `KMS_PROVIDER` calls Cloud KMS.
pub(super) const PROVIDER_NAME: &str = "gcp";

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

/// What `google-cloud-auth` reads, and the diagnosis.
pub(super) const LIBRARY: &[Setting] = &[
    Setting::new(
        "gcp_default_credentials",
        SettingKind::Path,
        "A credentials file of Google Cloud.",
    )
    .variables(&["GOOGLE_APPLICATION_CREDENTIALS"]),
    Setting::new(
        "gcp_default_project",
        SettingKind::Text,
        "The project of the credentials.",
    )
    .variables(&["GOOGLE_CLOUD_PROJECT"])
    .any_folder(AnyFolder::Anything),
    Setting::new(
        "gcp_quota_project",
        SettingKind::Text,
        "The project that calls are charged to.",
    )
    .variables(&["GOOGLE_CLOUD_QUOTA_PROJECT"])
    .any_folder(AnyFolder::Anything),
];

/// A key's name in parts.
pub(super) const KEY: &[Setting] = &[
    part(
        "gcp_project",
        "The project of the key.",
        &["GCP_PROJECT", "PROJECT_ID"],
    ),
    part(
        "gcp_location",
        "The location of the key ring.",
        &["GCP_KMS_LOCATION", "KMS_LOCATION"],
    ),
    part(
        "gcp_key_ring",
        "The key ring.",
        &["GCP_KMS_KEY_RING", "KMS_KEY_RING"],
    ),
    part("gcp_key", "The key.", &["GCP_KMS_KEY", "KMS_KEY_NAME"]),
];

const fn part(
    name: &'static str,
    help: &'static str,
    variables: &'static [&'static str],
) -> Setting {
    Setting::new(name, SettingKind::Text, help)
        .variables(variables)
        .any_folder(AnyFolder::Anything)
}

/// The key that variables name.
///
/// | variable | meaning | default |
/// |---|---|---|
/// | `GCP_PROJECT`, `GCP_KMS_LOCATION`, `GCP_KMS_KEY_RING`, `GCP_KMS_KEY` | the key at Cloud KMS, in place of `TEMPORAL_CODEC_KEY` | location: `global` |
/// | `PROJECT_ID`, `KMS_LOCATION`, `KMS_KEY_RING`, `KMS_KEY_NAME` | the same, as `codec-server keys setup` writes them | |
pub(super) fn named_key(variable: Variables<'_>) -> Result<Option<KeyUri>, ConfigurationError> {
    let families = [
        [
            "GCP_PROJECT",
            "GCP_KMS_LOCATION",
            "GCP_KMS_KEY_RING",
            "GCP_KMS_KEY",
        ],
        ["PROJECT_ID", "KMS_LOCATION", "KMS_KEY_RING", "KMS_KEY_NAME"],
    ];
    for [project, location, ring, key] in families {
        let Some(key_name) = variable(key) else {
            continue;
        };
        let required = |name: &str| {
            variable(name).ok_or_else(|| {
                ConfigurationError::invalid(name, format!("it is not set, but {key} is; set both"))
            })
        };
        let (project, ring) = (required(project)?, required(ring)?);
        let location = variable(location).unwrap_or_else(|| "global".to_owned());
        let name = format!(
            "projects/{project}/locations/{location}/keyRings/{ring}/cryptoKeys/{key_name}"
        );
        let uri = KeyUri::new(Scheme::GCP_KMS, &name);
        let uri = uri.map_err(|error| ConfigurationError::invalid(key, error.reason()))?;
        return Ok(Some(uri));
    }
    Ok(None)
}

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
    /// The options from environment variables. Google's own library reads the others.
    ///
    /// | variable | meaning | default |
    /// |---|---|---|
    /// | `GCP_KMS_ENDPOINT` | another endpoint of Cloud KMS: a private one of Google, or an emulator on this machine | the public one |
    /// | `GOOGLE_APPLICATION_CREDENTIALS` | a credentials file of Google Cloud | those of `gcloud`, or of the machine |
    /// | `GOOGLE_CLOUD_QUOTA_PROJECT` | the project that calls to Google Cloud are charged to | |
    /// | `GOOGLE_CLOUD_PROJECT`, `GCLOUD_PROJECT`, `CLOUDSDK_CORE_PROJECT` | where `codec-server doctor` looks for a project of the credentials | |
    /// | `GCE_METADATA_HOST` | the metadata server that `codec-server doctor` and Google's library ask for the machine's service account | `metadata.google.internal` |
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
