//! `seal` and `open`: files of any size, for the same keys as payloads.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    pin::Pin,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::NamedTempFile;
use temporal_kms_codec::{
    CacheLimits, DekLimits, EncryptionContext, EnvelopeCipher, StreamError, kms,
};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, BufWriter};

use super::{
    exit::{Failure, Status},
    kms_args::KmsArgs,
};

/// A chunk's length at a time would be a system call for each.
const BUFFER: usize = 1 << 20;
const SUFFIX: &str = "sealed";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Seal,
    Open,
}

#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The file; `-` is stdin.
    file: PathBuf,
    /// Where to write; `-` is stdout [default: FILE.sealed for `seal`, FILE without `.sealed` for `open`].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A key, as a URI; several are several recipients, each of which can open the file.
    #[arg(
        long = "key",
        value_name = "URI",
        env = "TEMPORAL_CODEC_KEY",
        value_delimiter = ',',
        default_value = "local://default"
    )]
    keys: Vec<String>,
    #[command(flatten)]
    kms: KmsArgs,
    /// A pair of the context. It is not stored: the same pairs are needed to open the file.
    #[arg(long = "context", value_name = "NAME=VALUE", value_parser = pair)]
    context: Vec<(String, String)>,
    /// Replaces an output file that exists.
    #[arg(long)]
    force: bool,
    /// Shows no progress.
    #[arg(short, long)]
    quiet: bool,
}

pub(super) const HELP: &str = "\
Examples:
  codec-server seal backup.tar --keyring keys
  codec-server open backup.tar.sealed --keyring keys --output backup.tar
  tar c . | codec-server seal - --output - --key local://default --context host=db1 > backup.sealed

The output file appears only when it is complete. What `open --output -` has written before it fails must be thrown away:
that a file is complete is known at its end only.";

pub(super) fn run(operation: Operation, args: &FileArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::io("the runtime cannot be started", &error))?;
    runtime.block_on(process(operation, args))
}

async fn process(operation: Operation, args: &FileArgs) -> Result<(), Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::new(Status::Usage, error);
    let target = Target::of(operation, args)?;
    let pairs: BTreeMap<_, _> = args.context.iter().cloned().collect();
    if pairs.len() != args.context.len() {
        return Err(usage(&"--context: a name is given twice"));
    }
    let context = EncryptionContext::new(pairs).map_err(|error| usage(&error))?;
    let cipher = cipher(args).await?;

    let (input, len) = open_input(&args.file).await?;
    let progress = progress(args, len);
    let input = BufReader::with_capacity(BUFFER, progress.wrap_async_read(input));
    let total = match target {
        Target::Stdout => {
            transfer(operation, &cipher, input, tokio::io::stdout(), &context).await?
        }
        Target::File(path) => {
            let file = temporary(&path)?;
            let output = file.reopen().map_err(|error| at(&path, &error))?;
            let output = tokio::fs::File::from_std(output);
            let total = transfer(operation, &cipher, input, output, &context).await?;
            persist(file, &path, args.force)?;
            total
        }
    };
    progress.finish_and_clear();
    tracing::info!(bytes = total, "done");
    Ok(())
}

async fn transfer(
    operation: Operation,
    cipher: &EnvelopeCipher,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
    context: &EncryptionContext,
) -> Result<u64, Failure> {
    let output = BufWriter::with_capacity(BUFFER, output);
    let done = match operation {
        Operation::Seal => cipher.seal_stream(input, output, context).await,
        Operation::Open => cipher.open_stream(input, output, context).await,
    };
    done.map_err(|error| {
        let status = match &error {
            StreamError::Read(_) | StreamError::Write(_) => Status::Io,
            error if error.is_transient() => Status::TryAgain,
            StreamError::Codec(temporal_kms_codec::Error::Provider(_)) => Status::Usage,
            _ => Status::Data,
        };
        Failure::new(status, error)
    })
}

async fn cipher(args: &FileArgs) -> Result<EnvelopeCipher, Failure> {
    let mut options = args.kms.options()?;
    let mut providers = Vec::with_capacity(args.keys.len());
    for uri in &args.keys {
        let uri = options
            .read_key(uri)
            .map_err(|error| Failure::new(Status::Usage, format_args!("--key: {error}")))?;
        let key = kms::open(&uri, &options)
            .await
            .map_err(|error| Failure::new(Status::Usage, error))?;
        providers.push(key);
    }
    EnvelopeCipher::new(
        providers,
        vec![],
        DekLimits::default(),
        &CacheLimits::default(),
    )
    .map_err(|error| Failure::new(Status::Usage, error))
}

/// Where the output goes.
enum Target {
    Stdout,
    File(PathBuf),
}

impl Target {
    fn of(operation: Operation, args: &FileArgs) -> Result<Self, Failure> {
        let path = match (&args.output, operation) {
            (Some(path), _) => path.clone(),
            (None, _) if is_standard(&args.file) => PathBuf::from("-"),
            (None, Operation::Seal) => {
                let mut name = args.file.clone().into_os_string();
                name.push(".");
                name.push(SUFFIX);
                name.into()
            }
            (None, Operation::Open) if args.file.extension().is_some_and(|e| e == SUFFIX) => {
                args.file.with_extension("")
            }
            (None, Operation::Open) => {
                let message =
                    "the file's name does not end in .sealed; name the output with --output";
                return Err(Failure::new(Status::Usage, message));
            }
        };
        if is_standard(&path) {
            return Ok(Self::Stdout);
        }
        if !args.force && path.exists() {
            return Err(exists(&path));
        }
        Ok(Self::File(path))
    }
}

type Input = Pin<Box<dyn AsyncRead + Send>>;

async fn open_input(path: &Path) -> Result<(Input, Option<u64>), Failure> {
    if is_standard(path) {
        return Ok((Box::pin(tokio::io::stdin()), None));
    }
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| at(path, &error))?;
    let metadata = file.metadata().await.map_err(|error| at(path, &error))?;
    let len = metadata.is_file().then_some(metadata.len());
    Ok((Box::pin(file), len))
}

/// Beside the output, so that renaming it moves no data; readable by its owner only.
fn temporary(path: &Path) -> Result<NamedTempFile, Failure> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(|error| at(path, &error))
}

fn persist(file: NamedTempFile, path: &Path, force: bool) -> Result<(), Failure> {
    file.as_file()
        .sync_all()
        .map_err(|error| at(path, &error))?;
    let persisted = if force {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    match persisted {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(error) => Err(at(path, &error.error)),
    }
}

fn progress(args: &FileArgs, len: Option<u64>) -> ProgressBar {
    if args.quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match len {
        Some(len) => (
            ProgressBar::new(len),
            "{wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {bytes} {binary_bytes_per_sec} {elapsed}",
        ),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

fn at(path: &Path, error: &io::Error) -> Failure {
    Failure::io(&path.display().to_string(), error)
}

fn exists(path: &Path) -> Failure {
    let message = format_args!("{}: it exists; --force replaces it", path.display()).to_string();
    Failure::new(Status::Usage, message)
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "the form is NAME=VALUE".to_owned())
}
