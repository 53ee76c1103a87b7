//! How the commands that call a key management service reach it.

use std::path::PathBuf;

use clap::Args;
use temporal_kms_codec::kms::KmsOptions;

use super::exit::Failure;

const HEADING: &str = "Key management services";

#[derive(Clone, Debug, Args)]
pub(super) struct KmsArgs {
    /// Folder of `local://` keys.
    #[arg(long, global = true, help_heading = HEADING, value_name = "DIR", env = "TEMPORAL_CODEC_KEYRING")]
    keyring: Option<PathBuf>,
    /// An emulator of Cloud KMS on this machine, such as http://127.0.0.1:8080.
    #[arg(long, global = true, help_heading = HEADING, value_name = "URL", env = "GCP_KMS_ENDPOINT")]
    gcp_endpoint: Option<String>,
    /// A credentials file of Google Cloud [default: the application default credentials].
    #[arg(
        long,
        global = true,
        help_heading = HEADING,
        value_name = "FILE"
    )]
    gcp_credentials: Option<PathBuf>,
    /// The region of AWS keys whose name tells none.
    #[arg(long, global = true, help_heading = HEADING, value_name = "REGION", env = "AWS_REGION")]
    aws_region: Option<String>,
    /// The URL of AWS KMS, where it is not the public one.
    #[arg(long, global = true, help_heading = HEADING, value_name = "URL", env = "AWS_ENDPOINT_URL_KMS")]
    aws_endpoint: Option<String>,
}

impl KmsArgs {
    pub(super) fn aws_region(&self) -> Option<&str> {
        self.aws_region.as_deref()
    }

    pub(super) fn options(&self) -> Result<KmsOptions, Failure> {
        Ok(KmsOptions {
            local_keyring: self.keyring.clone(),
            gcp_endpoint: self.gcp_endpoint.clone(),
            gcp_credentials: self.gcp_credentials.clone(),
            #[cfg(feature = "aws-kms")]
            aws: self.aws()?,
            ..KmsOptions::default()
        })
    }

    #[cfg(feature = "aws-kms")]
    fn aws(&self) -> Result<temporal_kms_codec::kms::aws::AwsOptions, Failure> {
        use temporal_kms_codec::kms::aws::AwsOptions;

        let mut aws = AwsOptions::from_env()
            .map_err(|error| Failure::new(super::exit::Status::Usage, error))?;
        aws.region = self.aws_region.clone().or(aws.region);
        aws.endpoint = self.aws_endpoint.clone().or(aws.endpoint);
        Ok(aws)
    }
}
