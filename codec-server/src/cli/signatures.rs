//! `sign` and `verify`: signatures of files, by keys of any key service.

use std::{
    io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use clap::Args;
use serde::{Deserialize, Serialize};
use temporal_kms_codec::{
    KeyUri,
    kms::{Kms, PublicKey, Signature, SignatureAlgorithm},
};
use temporal_kms_codec_service::lifecycle;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use zeroize::Zeroizing;

use super::{
    audit_log::{AuditArgs, CommandEvent, CommandLog},
    exit::{Failure, Status, print_answer, with_exit_codes},
    kms_args::KmsArgs,
    output::{Destination, is_standard},
};

/// A service signs what it gets in one call, so the file is in memory.
const MAX_FILE: u64 = 64 << 20;
/// More than any signature and any public key in PEM.
const MAX_SMALL: u64 = 64 << 10;
const SUFFIX: &str = "sig";

#[derive(Debug, Args)]
pub(super) struct SignArgs {
    /// The file, of at most 64 MiB; `-` is stdin.
    file: PathBuf,
    /// The signing key.
    #[arg(long, value_name = "URI")]
    key: String,
    /// Where to write; `-` is stdout [default: FILE.sig].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Writes the bytes of the signature alone, as OpenSSL reads them. They name neither key nor version.
    #[arg(long)]
    raw: bool,
    /// Replaces an output file that exists; writes to a device or pipe that exists.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    kms: KmsArgs,
    #[command(flatten)]
    audit: AuditArgs,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The file; `-` is stdin.
    file: PathBuf,
    /// The signature, as `sign` writes it or its bytes alone [default: FILE.sig].
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// The key that must have signed. The key service is asked for its public key.
    #[arg(
        long,
        value_name = "URI",
        required_unless_present = "public_key",
        conflicts_with = "public_key"
    )]
    key: Option<String>,
    /// The public key that must fit, in a PEM file, as `keys public-key` prints it. No key service is asked.
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Print the answer as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    kms: KmsArgs,
    #[command(flatten)]
    audit: AuditArgs,
}

const SIGN_EXAMPLES: &str = "\
Examples:
  codec-server keys create local://releases --purpose sign-p256 --keyring keys
  codec-server sign release.tar --key local://releases --keyring keys
  codec-server sign release.tar --raw --output release.der \\
    --key gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K

The signature is JSON with the key, its version and the algorithm: ECDSA on
P-256 with SHA-256, or Ed25519.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  codec-server verify release.tar --key local://releases --keyring keys
  codec-server keys public-key local://releases --keyring keys > releases.pem
  codec-server verify release.tar --public-key releases.pem
  openssl dgst -sha256 -verify releases.pem -signature release.der release.tar

It ends with 0 only for a signature of this file by this key.";

pub(super) fn sign_help() -> String {
    with_exit_codes(SIGN_EXAMPLES)
}

pub(super) fn verify_help() -> String {
    with_exit_codes(VERIFY_EXAMPLES)
}

/// What `sign` writes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureFile {
    key: String,
    #[serde(default)]
    version: Option<String>,
    algorithm: SignatureAlgorithm,
    /// In base64.
    signature: String,
}

#[derive(Serialize)]
struct Verified {
    file: String,
    key: Option<String>,
    version: Option<String>,
    algorithm: SignatureAlgorithm,
    valid: bool,
}

pub(super) fn sign(args: &SignArgs) -> Result<(), Failure> {
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

pub(super) fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    lifecycle::run(async {
        let path = args.signature.clone().unwrap_or_else(|| beside(&args.file));
        let event = CommandEvent::of("verify").reading(&[&args.file, &path]);
        let log = args.audit.open(event).await?;
        let done = check(args, &path, &log).await;
        log.close(done).await
    })
}

async fn check(args: &VerifyArgs, path: &Path, log: &CommandLog) -> Result<(), Failure> {
    if is_standard(&args.file) && is_standard(path) {
        return Err(Failure::new(
            Status::Usage,
            "--signature: name the file of the signature, since the file itself is read from stdin",
        ));
    }
    let written = read(path, MAX_SMALL).await?;
    let data = read(&args.file, MAX_FILE).await?;
    let (signature, valid) = match &args.public_key {
        Some(file) => offline(&data, &written, file).await?,
        None => by_service(&data, &written, args, log).await?,
    };
    let answer = Verified {
        file: args.file.display().to_string(),
        key: args.key.as_ref().map(|_| signature.key.to_string()),
        version: signature.version,
        algorithm: signature.algorithm,
        valid,
    };
    if !valid {
        return Err(Failure::new(
            Status::Data,
            format_args!(
                "{}: the signature is not one of this file by this key: the file was changed, or something else was signed",
                path.display()
            ),
        ));
    }
    print_answer(args.json, &answer, || {
        format!("{}: the signature is valid", answer.file)
    })
}

/// Only the public key counts. What the signature says of its key is not looked at.
async fn offline(data: &[u8], written: &[u8], file: &Path) -> Result<(Signature, bool), Failure> {
    let pem = read(file, MAX_SMALL).await?;
    let key = String::from_utf8_lossy(&pem);
    let key = PublicKey::from_pem(&key)
        .map_err(|error| Failure::new(Status::Data, format_args!("{}: {error}", file.display())))?;
    let signature = parse(written, &KeyUri::unnamed_local(), key.algorithm());
    let valid = key.verify(data, &signature);
    Ok((signature, valid))
}

async fn by_service(
    data: &[u8],
    written: &[u8],
    args: &VerifyArgs,
    log: &CommandLog,
) -> Result<(Signature, bool), Failure> {
    let uri = args.key.as_deref().unwrap_or_default();
    let (kms, key) = open(&args.kms, uri, log)?;
    let signer = kms.signer(&key).await.map_err(Failure::from)?;
    // Bytes alone are the newest version's.
    let algorithm = if let Ok(file) = serde_json::from_slice::<SignatureFile>(written) {
        file.algorithm
    } else {
        let public = signer.public_key(None).await.map_err(Failure::from)?;
        public.algorithm()
    };
    let signature = parse(written, &key, algorithm);
    let valid = signer.verify(data, &signature).await;
    Ok((signature, valid.map_err(Failure::from)?))
}

/// A signature as [`sign`] wrote it, or its bytes alone: then it is taken for one of `key` with `algorithm`.
fn parse(written: &[u8], key: &KeyUri, algorithm: SignatureAlgorithm) -> Signature {
    let of_bytes = || Signature::new(key.clone(), algorithm, written.to_vec());
    let Ok(file) = serde_json::from_slice::<SignatureFile>(written) else {
        return of_bytes();
    };
    match (file.key.parse(), BASE64.decode(&file.signature)) {
        (Ok(key), Ok(bytes)) => {
            Signature::new(key, file.algorithm, bytes).with_version(file.version)
        }
        _ => of_bytes(),
    }
}

fn open(args: &KmsArgs, uri: &str, log: &CommandLog) -> Result<(Kms, KeyUri), Failure> {
    let mut kms = args.options()?;
    log.observe(&mut kms);
    let key = kms
        .read_key(uri)
        .map_err(|error| Failure::new(Status::Usage, format_args!("--key: {error}")))?;
    Ok((kms, key))
}

/// Where the signature of a file is.
fn beside(file: &Path) -> PathBuf {
    if is_standard(file) {
        return file.to_owned();
    }
    let mut name = file.to_owned().into_os_string();
    name.push(".");
    name.push(SUFFIX);
    name.into()
}

async fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            Status::NoInput,
            format_args!("{}: cannot read the file: {error}", path.display()),
        )
    };
    if is_standard(path) {
        return take(tokio::io::stdin(), path, limit).await;
    }
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    if file.metadata().await.map_err(failed)?.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    take(file, path, limit).await
}

async fn take(input: impl AsyncRead + Unpin, path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = input.take(limit + 1).read_to_end(&mut bytes).await;
    let len = read.map_err(|error| Failure::io(&path.display().to_string(), &error))?;
    if len as u64 > limit {
        return Err(Failure::new(
            Status::Data,
            format_args!(
                "{}: it is larger than {} MiB; sign a file of its SHA-256 digest: sha256sum FILE > FILE.sha256",
                path.display(),
                limit.div_ceil(1 << 20),
            ),
        ));
    }
    Ok(bytes)
}
