use std::path::PathBuf;

use clap::Args;

use super::super::kms_args::KmsArgs;

pub(in super::super) const HELP: &str = "\
Examples:
  codec-server doctor --config codec.toml
  codec-server doctor --config codec.toml --namespace prod --json \\
    | jq '.findings[] | select(.status == \"failed\")'
  TEMPORAL_CODEC_KEY=local://default TEMPORAL_CODEC_KEYRING=keys \\
    codec-server doctor
  codec-server doctor \\
    --key gcp-kms://projects/P/locations/global/keyRings/R/cryptoKeys/K \\
    --samples 100

Without --config and --key the configuration is what the environment says, as
for `serve` and for workers. Every key is used for real: a data key is wrapped
and unwrapped, a payload encoded and decoded. Nothing is made or changed, but
calls cost what the service takes for them: about 2 for each of --samples and
key, and 10 more. The options under \"Key management services\" go with --key;
otherwise the configuration says how keys are reached.

Exit status, by the first failed finding: 0 nothing failed (there may be
warnings), 64 configuration, missing credentials, key or version, 65 a payload
that does not come back, 69 a service that cannot be reached, 75 a service
that is away or overloaded (try again), 77 refused credentials or a missing
permission.";

#[derive(Debug, Args)]
pub(in super::super) struct DoctorArgs {
    /// A configuration as for `serve`; without it and --key, what the environment says, first of all `CODEC_CONFIG`.
    #[arg(long, value_name = "FILE", conflicts_with = "keys")]
    config: Option<PathBuf>,
    /// The only namespace of the configuration to look at; with --key the namespace that payloads are bound to.
    #[arg(long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
    /// A key, as a URI; may be repeated.
    #[arg(long = "key", value_name = "URI")]
    pub(super) keys: Vec<String>,
    /// Prints the result as JSON: `ok`, and `findings` with `check`, `key`, `status`, `summary` and `remedy`.
    #[arg(long)]
    pub(super) json: bool,
    /// Timed calls of each operation, from 1 to 1000, and payloads for the effect of the data key cache.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) samples: u16,
    /// Tasks a month that the cost is estimated for: each has one payload encrypted and decrypted once.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(super) tasks_per_month: u32,
    #[command(flatten)]
    pub(super) kms: KmsArgs,
}

impl DoctorArgs {
    /// A key on the command line is meant instead of a file that the environment names.
    pub(super) fn config(&self) -> Option<PathBuf> {
        let variable = || {
            std::env::var_os("CODEC_CONFIG")
                .filter(|file| !file.is_empty() && self.keys.is_empty())
                .map(PathBuf::from)
        };
        self.config.clone().or_else(variable)
    }
}
