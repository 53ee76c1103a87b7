//! `sign` and `verify`: signatures of files, by keys of any key service.

use std::{
    io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use clap::Args;
use serde::{Deserialize, Serialize};
use temporal_kms::support::shell_word;
use temporal_kms_codec::{
    KeyUri,
    kms::{KeyState, Kms, PublicKey, Signature, SignatureAlgorithm, Signer},
};
use temporal_kms_codec_service::lifecycle;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use zeroize::Zeroizing;

use super::{
    audit_log::{AuditArgs, CommandEvent, CommandLog},
    exit::{Failure, Status, print_answer, with_exit_codes},
    kms_args::KmsArgs,
    missing_key,
    output::{Destination, is_standard},
};

/// A service signs what it gets in one call, so the file is in memory.
const MAX_FILE: u64 = 64 << 20;
/// More than any signature and any public key in PEM.
const MAX_SMALL: u64 = 64 << 10;
/// The versions of a key that bytes alone are tried with. They name none.
const MAX_VERSIONS: usize = 64;
/// Longer than the version of any service, in characters.
const MAX_SHOWN: usize = 64;
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
    let data = read(&args.file, MAX_FILE).await?;
    let written = read(path, MAX_SMALL).await?;
    let (signature, valid, used) = if let Some(file) = &args.public_key {
        let (signature, valid) = offline(&data, &written, file).await?;
        (signature, valid, None)
    } else {
        let uri = args.key.as_deref().unwrap_or_default();
        let (kms, key) = open(&args.kms, uri, log)?;
        let (signature, valid) = by_service(&data, &written, &kms, &key).await?;
        (signature, valid, Some(key))
    };
    if !valid {
        return Err(Failure::new(
            Status::Data,
            format_args!(
                "{}: {}",
                path.display(),
                reason(&written, args, used.as_ref())
            ),
        ));
    }
    let answer = Verified {
        file: args.file.display().to_string(),
        key: args.key.as_ref().map(|_| signature.key.to_string()),
        version: signature.version,
        algorithm: signature.algorithm,
        valid,
    };
    print_answer(args.json, &answer, || {
        format!("{}: the signature is valid", answer.file)
    })
}

/// Why a signature can be refused by the key that was used, and what to do. What it says of its key is not authentic.
fn reason(written: &[u8], args: &VerifyArgs, used: Option<&KeyUri>) -> String {
    let refused = "the signature is not one of this file by this key: the file was changed, something else was signed, or \
                   another";
    let Ok(file) = serde_json::from_slice::<SignatureFile>(written) else {
        return match &args.public_key {
            Some(_) => format!(
                "{refused} version of the key signed it; try --public-key of its other versions: codec-server keys \
                 public-key KEY --version ID"
            ),
            None => format!(
                "{refused} key signed it, or a version that is not enabled or was not tried; name the key that signed it \
                 with --key, or verify with --public-key"
            ),
        };
    };
    let Ok(key) = file.key.parse::<KeyUri>() else {
        return format!(
            "{refused} key signed it; check where the file and its signature come from"
        );
    };
    if args.public_key.is_none() {
        return if used == Some(&key) {
            format!("{refused} key signed it; check where the file and its signature come from")
        } else {
            format!(
                "{refused} key signed it. The signature names {key}; name that with --key if you trust it"
            )
        };
    }
    // Readers copy the command, and the name in it is from the signature.
    let word = shell_word(&key.to_string());
    match file.version.as_deref().filter(|version| is_plain(version)) {
        Some(version) => format!(
            "{refused} version of the key signed it. The signature names version {version} of {key}; use its public \
             key with --public-key: codec-server keys public-key {word} --version {version}"
        ),
        None => format!(
            "{refused} key signed it. The signature names {key}; use its public key with --public-key: codec-server \
             keys public-key {word}"
        ),
    }
}

/// Whether a command can show a version without quotes.
fn is_plain(version: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_SHOWN).contains(&version.len()) && version.bytes().all(is_plain)
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
    kms: &Kms,
    key: &KeyUri,
) -> Result<(Signature, bool), Failure> {
    let missing = |error| missing_key::failure(error, missing_key::WRONG_NAME);
    let signer = kms.signer(key).await.map_err(missing)?;
    if let Ok(file) = serde_json::from_slice::<SignatureFile>(written) {
        let signature = parse(written, key, file.algorithm);
        let valid = signer.verify(data, &signature).await.map_err(missing)?;
        return Ok((signature, valid));
    }
    // Bytes alone are most often the newest version's.
    let public = signer.public_key(None).await.map_err(missing)?;
    let signature = parse(written, key, public.algorithm());
    if signer.verify(data, &signature).await.map_err(missing)? {
        return Ok((signature, true));
    }
    match by_other_version(data, &signature, kms, &*signer).await? {
        Some(found) => Ok((found, true)),
        None => Ok((signature, false)),
    }
}

/// The signature with the enabled version of its key that made it. `None` where none did, or the versions of the key
/// cannot be listed.
async fn by_other_version(
    data: &[u8],
    signature: &Signature,
    kms: &Kms,
    signer: &dyn Signer,
) -> Result<Option<Signature>, Failure> {
    let key = &signature.key;
    let listed = match kms.admin(key).await {
        Ok(admin) => admin.versions(key).await,
        Err(error) => Err(error),
    };
    let versions = match listed {
        Ok(versions) => versions,
        Err(error) if error.is_transient() => return Err(error.into()),
        // Verifying does not need the permission to list versions.
        Err(_) => return Ok(None),
    };
    // The only version was tried already.
    if versions.len() < 2 {
        return Ok(None);
    }
    let enabled = versions
        .into_iter()
        .filter(|version| version.state == KeyState::Enabled);
    for version in enabled.take(MAX_VERSIONS) {
        let public = match signer.public_key(Some(&version.id)).await {
            Ok(public) => public,
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(_) => continue,
        };
        let candidate = signature
            .clone()
            .with_algorithm(public.algorithm())
            .with_version(version.id);
        if public.verify(data, &candidate)
            && signer
                .verify(data, &candidate)
                .await
                .map_err(Failure::from)?
        {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
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
