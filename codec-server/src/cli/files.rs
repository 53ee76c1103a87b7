//! `seal` and `open`: files of any size, for the same keys as payloads.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    pin::Pin,
};

use clap::{Arg, Args};
use temporal_kms_codec::{EncryptionContext, Error, KeyUri, PayloadError, SealedFileError, Sealer};
use temporal_kms_codec_service::{lifecycle, local_key::DEFAULT_LOCAL_KEY};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, BufWriter};

use super::{
    audit_log::{AuditArgs, CommandEvent, CommandLog},
    exit::{Failure, Status, with_exit_codes},
    kms_args::KmsArgs,
    missing_key,
    output::{Destination, is_standard},
    progress,
    wanted::is_regular,
};

/// Fewer system calls than one for each chunk.
const BUFFER: usize = 1 << 20;
const SUFFIX: &str = "sealed";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileCommand {
    Seal,
    Open,
}

impl FileCommand {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Seal => "seal",
            Self::Open => "open",
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The file; `-` is stdin.
    file: PathBuf,
    /// Where to write; `-` is stdout [default: FILE.sealed].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A key, as a URI; several are several recipients, each of which can open the file.
    #[arg(
        long = "key",
        value_name = "URI",
        env = "TEMPORAL_CODEC_KEY",
        value_delimiter = ',',
        default_value = DEFAULT_LOCAL_KEY
    )]
    keys: Vec<String>,
    #[command(flatten)]
    kms: KmsArgs,
    #[command(flatten)]
    audit: AuditArgs,
    /// A pair of the context. It is not stored: opening the file needs the same
    /// pairs. By default the context is purpose=file.
    #[arg(long = "context", value_name = "NAME=VALUE", value_parser = pair)]
    context: Vec<(String, String)>,
    /// Replace an output file that exists; write to a device or pipe that exists.
    #[arg(long)]
    force: bool,
    /// Show no progress and no warnings.
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl FileArgs {
    /// What to do when a local key that has to open a file does not exist.
    fn remedy(&self) -> &'static str {
        if self.keys == [DEFAULT_LOCAL_KEY] {
            "name the key that sealed the file with --key, and its folder with --keyring"
        } else {
            missing_key::WRONG_NAME
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  codec-server keys create local://default --keyring keys
  codec-server seal backup.tar --keyring keys
  codec-server open backup.tar.sealed --keyring keys --output backup.tar
  tar c . | codec-server seal - --context host=db1 --keyring keys > b.sealed

The output file appears only when it is complete. With --output - the output
goes to stdout as it comes: do not use it when the command fails.";

/// The option `--output` of `open`.
pub(super) fn output_of_open(output: Arg) -> Arg {
    output.help("Where to write; `-` is stdout [default: FILE without `.sealed`]")
}

/// Both commands end with the same codes.
pub(super) fn help() -> String {
    with_exit_codes(EXAMPLES)
}

pub(super) fn run(command: FileCommand, args: &FileArgs) -> Result<(), Failure> {
    let context = context(args)?;
    let destination = destination(command, args)?;
    lifecycle::run_interruptible(destination.consequence(), async {
        let event = CommandEvent::of(command.as_str()).reading(&[&args.file]);
        let log = args.audit.open(event).await?;
        let done = process(command, args, &context, destination, &log).await;
        log.close(done).await
    })
}

async fn process(
    command: FileCommand,
    args: &FileArgs,
    context: &EncryptionContext,
    destination: Destination,
    log: &CommandLog,
) -> Result<(), Failure> {
    let sealer = sealer(command, args, log).await?;

    let (input, len) = open_input(&args.file).await?;
    let progress = progress::bytes(args.quiet, len);
    let input = BufReader::with_capacity(BUFFER, progress.wrap_async_read(input));
    let output = destination.open().await?;
    let total = match output.file()? {
        None => transfer(command, &sealer, input, tokio::io::stdout(), context).await,
        Some(file) => {
            let file = tokio::fs::File::from_std(file);
            transfer(command, &sealer, input, file, context).await
        }
    };
    let total = total.map_err(|error| failure(command, args, error))?;
    output.finish()?;
    progress.finish_and_clear();
    tracing::info!(bytes = total, "done");
    Ok(())
}

async fn transfer(
    command: FileCommand,
    sealer: &Sealer,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
    context: &EncryptionContext,
) -> Result<u64, SealedFileError> {
    let output = BufWriter::with_capacity(BUFFER, output);
    match command {
        FileCommand::Seal => sealer.seal_file(input, output, context).await,
        FileCommand::Open => sealer.open_file(input, output, context).await,
    }
}

/// Why a file was not sealed or opened, in words of the command line.
fn failure(command: FileCommand, args: &FileArgs, error: SealedFileError) -> Failure {
    match error {
        SealedFileError::Write(reason) if reason.kind() == io::ErrorKind::BrokenPipe => {
            Failure::stdout(&reason)
        }
        SealedFileError::Read(_) => {
            Failure::new(Status::Io, format_args!("{}: {error}", name(&args.file)))
        }
        SealedFileError::Write(_) => Failure::new(Status::Io, error),
        SealedFileError::Codec(Error::Provider(reason)) if command == FileCommand::Open => {
            missing_key::failure(reason, args.remedy())
        }
        SealedFileError::Codec(Error::Payload(PayloadError::KeyNotAllowed { key })) => {
            Failure::new(Status::Data, not_named(&key))
        }
        SealedFileError::Codec(Error::Payload(reason)) if command == FileCommand::Open => {
            Failure::new(Status::Data, format_args!("{}: {reason}", name(&args.file)))
        }
        SealedFileError::Codec(reason) => reason.into(),
        SealedFileError::NotSealed => Failure::new(
            Status::Data,
            format_args!(
                "{}: it is not a file that `codec-server seal` wrote; check its name",
                name(&args.file)
            ),
        ),
        error => Failure::new(Status::Data, format_args!("{}: {error}", name(&args.file))),
    }
}

/// What an error calls the input.
fn name(file: &Path) -> String {
    if is_standard(file) {
        return "stdin".to_owned();
    }
    file.display().to_string()
}

/// What to do about `keys`, which a file names and the command line does not. Nobody has authenticated their names.
fn not_named(keys: &str) -> String {
    if keys.contains(", ") {
        format!(
            "the file names the keys {keys}, and --key names none of them; name one of them with --key if you trust it"
        )
    } else {
        format!(
            "the file names the key {keys}, which --key does not name; name it with --key if you trust it"
        )
    }
}

async fn sealer(
    command: FileCommand,
    args: &FileArgs,
    log: &CommandLog,
) -> Result<Sealer, Failure> {
    let mut options = args.kms.options()?;
    log.observe(&mut options);
    let mut builder = Sealer::builder();
    for uri in &args.keys {
        let uri = options
            .read_key(uri)
            .map_err(|error| Failure::new(Status::Usage, format_args!("--key: {error}")))?;
        let key = match (options.key(&uri).await, command) {
            (Ok(key), _) => key,
            (Err(error), FileCommand::Seal) => return Err(error.into()),
            (Err(error), FileCommand::Open) => {
                let (remedy, wanted) = (args.remedy(), keys_of(&args.file));
                let names = "the file names";
                return Err(missing_key::failure_of_input(error, remedy, names, wanted).await);
            }
        };
        builder = builder.encrypt_with(key);
    }
    builder
        .build()
        .map_err(|error| Failure::new(Status::Usage, error))
}

/// The keys that a sealed file names. Empty if it is another file, or not there as a whole.
async fn keys_of(file: &Path) -> Vec<KeyUri> {
    if !is_regular(file) {
        return Vec::new();
    }
    match open_input(file).await {
        Ok((input, _)) => Sealer::keys_of_file(input).await.unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

fn context(args: &FileArgs) -> Result<EncryptionContext, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::new(Status::Usage, error);
    let pairs: BTreeMap<_, _> = args.context.iter().cloned().collect();
    if pairs.len() != args.context.len() {
        return Err(usage(
            &"--context: a name is given twice; give each name once",
        ));
    }
    // The library does not seal under an empty context.
    let pairs = if pairs.is_empty() {
        BTreeMap::from([("purpose".to_owned(), "file".to_owned())])
    } else {
        pairs
    };
    EncryptionContext::new(pairs).map_err(|error| usage(&error))
}

fn destination(command: FileCommand, args: &FileArgs) -> Result<Destination, Failure> {
    let path = match (&args.output, command) {
        (Some(path), _) => path.clone(),
        (None, _) if is_standard(&args.file) => PathBuf::from("-"),
        (None, FileCommand::Seal) => {
            let mut name = args.file.clone().into_os_string();
            name.push(".");
            name.push(SUFFIX);
            name.into()
        }
        (None, FileCommand::Open) if args.file.extension().is_some_and(|e| e == SUFFIX) => {
            args.file.with_extension("")
        }
        (None, FileCommand::Open) => {
            let message = format!(
                "{}: the name does not end in .sealed; name the output with --output",
                name(&args.file)
            );
            return Err(Failure::new(Status::Usage, message));
        }
    };
    Destination::new(&path, args.force, Some(&args.file))
}

type Input = Pin<Box<dyn AsyncRead + Send>>;

async fn open_input(path: &Path) -> Result<(Input, Option<u64>), Failure> {
    if is_standard(path) {
        return Ok((Box::pin(tokio::io::stdin()), None));
    }
    let missing = |error: io::Error| {
        Failure::new(
            Status::NoInput,
            format_args!("{}: cannot read the file: {error}", path.display()),
        )
    };
    let file = tokio::fs::File::open(path).await.map_err(missing)?;
    let metadata = file.metadata().await.map_err(missing)?;
    if metadata.is_dir() {
        return Err(missing(io::ErrorKind::IsADirectory.into()));
    }
    let len = metadata.is_file().then_some(metadata.len());
    Ok((Box::pin(file), len))
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "expected NAME=VALUE".to_owned())
}
