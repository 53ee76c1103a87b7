//! `sign`: writes the signature of a file.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use clap::Args;
use temporal_kms_codec_service::lifecycle;
use zeroize::Zeroizing;

use super::{
    super::{
        audit_log::{AuditArgs, CommandEvent, CommandLog},
        exit::{Failure, Status, with_exit_codes},
        kms_args::KmsArgs,
        output::Destination,
    },
    MAX_FILE, SignatureFile, beside, open, read,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct SignArgs {
    /// The file, of at most 64 MiB; `-` is stdin.
    file: PathBuf,
    /// The signing key.
    #[arg(long, value_name = "URI")]
    key: String,
    /// Where to write; `-` is stdout [default: FILE.sig].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the bytes of the signature alone, as OpenSSL reads them. They name neither key nor version.
    #[arg(long)]
    raw: bool,
    /// Replace an output file that exists; write to a device or pipe that exists.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    kms: KmsArgs,
    #[command(flatten)]
    audit: AuditArgs,
}

const EXAMPLES: &str = "\
Examples:
  codec-server keys create local://releases --purpose sign-p256 --keyring keys
  codec-server sign release.tar --key local://releases --keyring keys
  codec-server sign release.tar --raw --output release.der \\
    --key gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K

The signature is JSON with the key, its version and the algorithm: ECDSA on
P-256 with SHA-256, or Ed25519.";

pub(in crate::cli) fn help() -> String {
    with_exit_codes(EXAMPLES)
}

pub(in crate::cli) fn run(args: &SignArgs) -> Result<(), Failure> {
    let path = match &args.output {
        Some(path) => path.clone(),
        None => beside(&args.file),
    };
    let destination = Destination::new(&path, args.force, Some(&args.file))?;
    lifecycle::run_interruptible(destination.consequence(), async {
        let event = CommandEvent::of("sign").reading(&[&args.file]);
        let log = args.audit.open(event).await?;
        let done = write_signature(args, destination, &log).await;
        log.close(done).await
    })
}

async fn write_signature(
    args: &SignArgs,
    destination: Destination,
    log: &CommandLog,
) -> Result<(), Failure> {
    let (kms, key) = open(&args.kms, &args.key, log)?;
    let signer = kms.signer(&key).await.map_err(Failure::from)?;
    let data = read(&args.file, MAX_FILE).await?;
    let signature = signer.sign(&data).await.map_err(Failure::from)?;
    let written = if args.raw {
        signature.bytes
    } else {
        let file = SignatureFile {
            key: signature.key.to_string(),
            version: signature.version,
            algorithm: signature.algorithm,
            signature: BASE64.encode(&signature.bytes),
        };
        let mut json = serde_json::to_vec_pretty(&file)
            .map_err(|error| Failure::new(Status::Software, error))?;
        json.push(b'\n');
        json
    };
    let output = destination.open().await?;
    output.write(Zeroizing::new(written)).await?;
    output.finish()
}
