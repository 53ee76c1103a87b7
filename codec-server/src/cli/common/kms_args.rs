//! How the commands that call a key management service reach it.

use std::path::PathBuf;

use clap::Args;
use temporal_kms_codec::kms::KmsOptions;
#[cfg(feature = "pkcs11")]
use temporal_kms_codec::kms::pkcs11::PinSource;
use temporal_kms_codec_service::{
    arguments,
    local_key::{self, DEFAULT_LOCAL_KEY, default_keyring},
};

use super::exit::{Failure, Status};

const HEADING: &str = "Key management services";

#[derive(Clone, Debug, Args)]
pub(crate) struct KmsArgs {
    /// Folder of `local://` keys [default: temporal-kms-codec/keyring in `$XDG_DATA_HOME` or `~/.local/share`].
    #[arg(long, global = true, help_heading = HEADING, value_name = "DIR", env = "TEMPORAL_CODEC_KEYRING")]
    keyring: Option<PathBuf>,
    /// An emulator of Cloud KMS on this machine, such as `http://127.0.0.1:8080`.
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
    /// The region of AWS keys that are named without one.
    #[arg(long, global = true, help_heading = HEADING, value_name = "REGION", env = "AWS_REGION")]
    aws_region: Option<String>,
    /// The URL of AWS KMS, if it is not the public one.
    #[arg(long, global = true, help_heading = HEADING, value_name = "URL", env = "AWS_ENDPOINT_URL_KMS")]
    aws_endpoint: Option<String>,
    /// The absolute path of the vendor's PKCS#11 library.
    #[cfg(feature = "pkcs11")]
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", env = "PKCS11_MODULE")]
    pkcs11_module: Option<PathBuf>,
    /// The file with the PIN of the token's user.
    #[cfg(feature = "pkcs11")]
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", env = "PKCS11_PIN_FILE")]
    pkcs11_pin_file: Option<PathBuf>,
}

impl KmsArgs {
    /// Whether the key is `local://default`: there is a keyring, and no variable names a key.
    pub(crate) fn means_default_key(&self) -> bool {
        self.keyring.is_some() && !local_key::is_named(&arguments::variable)
    }

    /// A variable of the process, with `--keyring` over it.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        match name {
            "TEMPORAL_CODEC_KEYRING" => self.keyring.as_ref()?.to_str().map(str::to_owned),
            "TEMPORAL_CODEC_KEY" if self.means_default_key() => Some(DEFAULT_LOCAL_KEY.to_owned()),
            name => arguments::variable(name),
        }
    }

    /// The services' own variables, with the arguments over them.
    pub(crate) fn options(&self) -> Result<KmsOptions, Failure> {
        let variables = KmsOptions::from_env();
        let mut options = variables.map_err(|error| Failure::new(Status::Configuration, error))?;
        // Without a home folder there is no default. Opening a local key then reports the missing folder.
        options.local_keyring = self.keyring.clone().or_else(|| default_keyring());
        options.gcp_endpoint.clone_from(&self.gcp_endpoint);
        options.gcp_credentials.clone_from(&self.gcp_credentials);
        #[cfg(feature = "aws-kms")]
        {
            options.aws.region = self.aws_region.clone().or(options.aws.region);
            options.aws.endpoint = self.aws_endpoint.clone().or(options.aws.endpoint);
        }
        #[cfg(feature = "pkcs11")]
        {
            options.pkcs11.module = self.pkcs11_module.clone().or(options.pkcs11.module);
            let file = self.pkcs11_pin_file.clone().map(PinSource::File);
            options.pkcs11.pin = file.or(options.pkcs11.pin);
        }
        Ok(options)
    }
}
