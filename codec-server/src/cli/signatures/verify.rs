//! `verify`: checks the signature of a file.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use clap::Args;
use serde::Serialize;
use temporal_kms::support::shell_word;
use temporal_kms_codec::{
    KeyUri,
    kms::{KeyState, Kms, ProviderErrorKind, PublicKey, Signature, SignatureAlgorithm, Signer},
};
use temporal_kms_codec_service::lifecycle;

use super::{
    super::{
        audit_log::{AuditArgs, CommandEvent, CommandLog},
        exit::{Failure, Status, print_answer, with_exit_codes},
        kms_args::KmsArgs,
        missing_key,
        output::is_standard,
    },
    MAX_FILE, SignatureFile, beside, open, read,
};

/// More than any signature and any public key in PEM.
const MAX_SMALL: u64 = 64 << 10;
/// The versions of a key that bytes alone are tried with. They name none.
const MAX_VERSIONS: usize = 64;
/// Longer than the version of any service, in characters.
const MAX_SHOWN: usize = 64;

#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
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

const EXAMPLES: &str = "\
Examples:
  codec-server verify release.tar --key local://releases --keyring keys
  codec-server keys public-key local://releases --keyring keys > releases.pem
  codec-server verify release.tar --public-key releases.pem
  openssl dgst -sha256 -verify releases.pem -signature release.der release.tar

It ends with 0 only for a signature of this file by this key.";

pub(in crate::cli) fn help() -> String {
    with_exit_codes(EXAMPLES)
}

#[derive(Serialize)]
struct Verified {
    file: String,
    key: Option<String>,
    version: Option<String>,
    algorithm: SignatureAlgorithm,
    valid: bool,
}

pub(in crate::cli) fn run(args: &VerifyArgs) -> Result<(), Failure> {
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
        let (signature, valid) = by_service(&data, &written, path, (&kms, &key)).await?;
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
    path: &Path,
    (kms, key): (&Kms, &KeyUri),
) -> Result<(Signature, bool), Failure> {
    let missing = |error| missing_key::failure(error, missing_key::WRONG_NAME);
    let signer = kms.signer(key).await.map_err(missing)?;
    if let Ok(file) = serde_json::from_slice::<SignatureFile>(written) {
        let signature = parse(written, key, file.algorithm);
        let valid = signer.verify(data, &signature).await.map_err(missing)?;
        if !valid && let Some(version) = missing_version(&signature, &*signer).await {
            return Err(Failure::new(
                Status::Data,
                format_args!(
                    "{}: the signature names version {version} of {key}, which the key does not have any more; verify with \
                     --public-key",
                    path.display()
                ),
            ));
        }
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

/// The version that the signature names, if its key is the signer's and does not have that version. It was destroyed, or the
/// signature was altered.
async fn missing_version<'s>(signature: &'s Signature, signer: &dyn Signer) -> Option<&'s str> {
    let version = signature.version.as_deref();
    let version = version.filter(|version| is_plain(version))?;
    if signature.key != *signer.uri() {
        return None;
    }
    let error = signer.public_key(Some(version)).await.err()?;
    let is_missing = error.kind() == ProviderErrorKind::KeyNotFound && !error.is_key_missing();
    is_missing.then_some(version)
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

/// A signature as `sign` wrote it, or its bytes alone: then it is taken for one of `key` with `algorithm`.
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
