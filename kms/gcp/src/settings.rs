//! What has to be known to reach Cloud KMS.

use std::path::PathBuf;

/// Where Cloud KMS is reached, and with which credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcpOptions {
    /// Where `gcp-kms://` keys are reached instead of Cloud KMS: an emulator on this machine, such as
    /// `http://127.0.0.1:8080`. Any other host is refused. It gets no credentials unless `credentials` names some.
    pub endpoint: Option<String>,
    /// A credentials file of Google Cloud. Without it, and without an endpoint, the application default credentials
    /// are used: `GOOGLE_APPLICATION_CREDENTIALS`, those of `gcloud`, or the metadata server's.
    pub credentials: Option<PathBuf>,
}
