//! The arguments of `doctor`.

use std::path::PathBuf;

use clap::Args;

use super::{
    super::{audit_log::AuditArgs, kms_args::KmsArgs},
    serving::{CodecUrl, Places, UiUrl},
};

pub(in super::super) const HELP: &str = "\
Examples:
  codec-server doctor --config codec.toml
  codec-server doctor --config codec.toml --namespace prod --json \\
    | jq '.findings[] | select(.status == \"failed\")'
  codec-server doctor --config codec.toml --ui https://temporal.example.com \\
    --server https://codec.example.com
  TEMPORAL_CODEC_KEY=local://default TEMPORAL_CODEC_KEYRING=keys \\
    codec-server doctor
  codec-server doctor \\
    --key gcp-kms://projects/P/locations/global/keyRings/R/cryptoKeys/K \\
    --samples 100
  codec-server doctor --signing-key local://releases --keyring keys

Without --config and keys the configuration comes from the environment, as for
`serve` and for workers; with --keyring alone, the key is local://default.
Every key is used: a data key is wrapped and unwrapped, a payload encoded and
decoded. A signing key signs a short text, and its published public key
verifies that. Nothing is created or changed. The service charges for the
calls: for each key that encrypts about 2 for each of --samples and 10 more,
and for each signing key 1 for each of --samples and about 5 more. The options
under \"Key management services\" go with --key and --signing-key; with
--config, the configuration says how keys are reached.

Certificates, web pages that may call, issuers, logins and the audit log are
checked as well, with the key that signs the audit log. --ui and --server try
what the Web UI would send.

The first failed check decides the exit code:
    0  no check failed; there may be warnings
   64  wrong command line
   65  a payload does not come back
   69  the service cannot be reached or fails; try again
   77  credentials or a permission are missing
   78  the configuration, the clock, a key or a version has to be corrected";

#[derive(Debug, Args)]
pub(in super::super) struct DoctorArgs {
    /// A configuration as for `serve`; without it and --key, what the environment says, first of all `CODEC_CONFIG`.
    #[arg(long, value_name = "FILE", conflicts_with = "keys")]
    config: Option<PathBuf>,
    /// The only namespace of the configuration to check; with --key the namespace that payloads are bound to.
    #[arg(long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
    /// A key, as a URI; may be repeated.
    #[arg(long = "key", value_name = "URI")]
    pub(super) keys: Vec<String>,
    /// A signing key, as a URI; may be repeated. With --config it is checked beside the keys of the configuration.
    #[arg(long = "signing-key", value_name = "URI")]
    pub(super) signing_keys: Vec<String>,
    /// Print the result as JSON: `ok`, and `findings` with `check`, `key`, `status`, `summary` and `remedy`.
    #[arg(long)]
    pub(super) json: bool,
    /// Timed calls of each operation, from 1 to 1000, and payloads for the effect of the data key cache.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) samples: u16,
    /// Tasks a month that the cost is estimated for: each has one payload encrypted and decrypted once.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(super) tasks_per_month: u32,
    /// The address of the Web UI in a browser: checks that it may call the server.
    #[arg(long, value_name = "URL", conflicts_with = "keys")]
    ui: Option<UiUrl>,
    /// The address of the running server, as clients call it: checks that it answers as the configuration says. It gets a
    /// preflight and a request without payloads.
    #[arg(long, value_name = "URL", conflicts_with = "keys")]
    server: Option<CodecUrl>,
    #[command(flatten)]
    pub(super) kms: KmsArgs,
    #[command(flatten)]
    pub(super) audit: AuditArgs,
}

impl DoctorArgs {
    /// Where the Web UI and the running server are.
    pub(super) fn places(&self) -> Places<'_> {
        Places {
            ui: self.ui.as_ref(),
            codec: self.server.as_ref(),
        }
    }

    /// Whether keys are named on the command line.
    pub(super) fn names_keys(&self) -> bool {
        !self.keys.is_empty() || !self.signing_keys.is_empty()
    }

    /// A key on the command line is meant instead of a file that the environment names.
    pub(super) fn config(&self) -> Option<PathBuf> {
        let variable = || {
            std::env::var_os("CODEC_CONFIG")
                .filter(|file| !file.is_empty() && !self.names_keys())
                .map(PathBuf::from)
        };
        self.config.clone().or_else(variable)
    }
}
