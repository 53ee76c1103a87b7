//! `encode` and `decode`: payloads from a file or stdin, to a file or stdout.

mod input;
mod text;
mod wanted;

use std::{
    fs::File,
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use clap::Args;
use temporal_kms_codec::{Codec, CodecSettings, Error, Format, Namespace, Payload};
use temporal_kms_codec_service::{
    arguments::variable,
    lifecycle,
    local_key::KeyChoice,
    namespaces::{Keys, OpenError},
    settings::values,
};
use zeroize::{Zeroize as _, Zeroizing};

use self::{input::Input, wanted::explain};
use super::{
    exit::{self, Failure, Status, with_exit_codes},
    output::{Destination, is_standard},
};
use crate::config::{Config, NamespaceConfig, NamespacesConfig};

const KEY: &str = "TEMPORAL_CODEC_KEY";
/// How many payloads that fail are named one by one.
const MOST_NAMED: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Encode,
    Decode,
}

#[derive(Debug, Args)]
pub(super) struct TransformArgs {
    /// The input; `-` is stdin.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// A key, as a URI; several are several recipients [default: `TEMPORAL_CODEC_KEY`, else `local://default`].
    #[arg(long = "key", value_name = "URI", conflicts_with = "config")]
    keys: Vec<String>,
    /// Folder of `local://` keys [default: `TEMPORAL_CODEC_KEYRING`, else as for `dev`].
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    keyring: Option<PathBuf>,
    /// A configuration as for `serve`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A format to open beside `envelope`: `envelope-v1` or `direct`; may be repeated.
    #[arg(
        long = "decrypt-format",
        value_name = "FORMAT",
        conflicts_with = "config"
    )]
    decrypt_formats: Vec<Format>,
    /// The namespace of the payloads.
    #[arg(
        long,
        value_name = "NAME",
        env = "TEMPORAL_NAMESPACE",
        default_value = "default"
    )]
    namespace: String,
    /// Where to write; `-` is stdout.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Replaces an output file that exists; writes to a device or pipe that exists.
    #[arg(long)]
    force: bool,
    /// Keeps a payload that cannot be decoded or read unchanged, reports it on stderr, and goes on. The exit code is then not 0.
    #[arg(long)]
    keep_going: bool,
    /// The largest input, such as 256MiB.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = values::bytes)]
    max_input: usize,
}

#[derive(Debug, Args)]
pub(super) struct DecodeArgs {
    #[command(flatten)]
    transform: TransformArgs,
    /// Prints only the content of each payload, one payload a line.
    #[arg(long)]
    text: bool,
}

const EXAMPLES: &str = "\
Examples:
  temporal workflow show -w ID -o json | codec-server decode --keyring keys
  temporal workflow result -w ID -o json | codec-server decode --text
  codec-server decode history.json --config codec.toml --namespace prod
  codec-server encode payloads.json --key local://default --output sealed.json

The input is one payload, {\"payloads\":[…]}, a list of payloads, or any JSON
with payloads somewhere inside, such as a whole history (also one JSON value on
each line). There payloads are replaced in place, and everything else stays as
it is. UTF-8 and UTF-16 with a byte order mark are read; the output is UTF-8.

Formats and further keys come from the variables TEMPORAL_CODEC_… that a worker
has, or from --config.";

/// Both commands end with the same codes.
pub(super) fn help() -> String {
    with_exit_codes(EXAMPLES)
}

pub(super) fn encode(args: &TransformArgs) -> Result<(), Failure> {
    run(Operation::Encode, args, false)
}

pub(super) fn decode(args: &DecodeArgs) -> Result<(), Failure> {
    run(Operation::Decode, &args.transform, args.text)
}

fn run(operation: Operation, args: &TransformArgs, as_text: bool) -> Result<(), Failure> {
    let input = (!is_standard(&args.file)).then_some(args.file.as_path());
    let destination = Destination::new(&args.output, args.force, input)?;
    lifecycle::run_interruptible(
        destination.consequence(),
        process(operation, args, as_text, destination),
    )
}

async fn process(
    operation: Operation,
    args: &TransformArgs,
    as_text: bool,
    destination: Destination,
) -> Result<(), Failure> {
    let codec = codec(args).await?;
    let (path, limit) = (args.file.clone(), args.max_input);
    let bytes = tokio::task::spawn_blocking(move || read(&path, limit))
        .await
        .map_err(|error| Failure::new(Status::Software, error))??;
    let name = name(&args.file);
    let wrong =
        |error: &dyn std::fmt::Display| Failure::new(Status::Data, format_args!("{name}: {error}"));
    let input = Input::parse(text::utf8(bytes).map_err(|error| wrong(&error))?)
        .map_err(|error| wrong(&error))?;
    if input.is_empty() {
        return Err(wrong(
            &"there is no payload in it; the input must hold at least one",
        ));
    }

    let mut complaints = Complaints::new(&input, name);
    let mut changed = apply(operation, &codec, &input, &mut complaints).await?;
    let failed = complaints.finish();
    if let Some(status) = failed.filter(|_| !args.keep_going) {
        return Err(Failure::said(status));
    }
    let written = match (as_text, &destination) {
        (false, _) => input.write(&changed),
        (true, Destination::Stdout) if std::io::stdout().is_terminal() => {
            text::for_terminal(&text::of_payloads(&changed))
        }
        (true, _) => text::of_payloads(&changed),
    };
    for payload in &mut changed {
        payload.data.zeroize();
    }
    let output = destination.open().await?;
    output.write(written).await?;
    output.finish()?;
    failed.map_or(Ok(()), |status| Err(Failure::said(status)))
}

/// The payloads after the operation. A payload that cannot be decoded is kept and reported. Encoding changes all payloads
/// or none.
async fn apply(
    operation: Operation,
    codec: &Codec,
    input: &Input,
    complaints: &mut Complaints<'_>,
) -> Result<Vec<Payload>, Failure> {
    for broken in input.broken() {
        complaints.add(broken.index, Status::Data, &broken.error);
    }
    let payloads = input.payloads();
    if operation == Operation::Encode {
        return codec.encode(payloads).await.map_err(|error| {
            let message = format!("{}: {error}", complaints.name);
            Failure::new(Status::of(&error), message)
        });
    }
    let results = codec.decode_each(payloads.clone()).await;
    let decoded = input.indices().into_iter().zip(payloads).zip(results);
    let decoded = decoded.map(|((index, old), result)| {
        result.unwrap_or_else(|error| {
            let message = explain(&error, &old, codec.namespace());
            complaints.add(index, Status::of(&error), &message);
            old
        })
    });
    Ok(decoded.collect())
}

/// Collects the payloads that cannot be processed, and the exit code.
struct Complaints<'i> {
    input: &'i Input,
    name: String,
    status: Option<Status>,
    found: Vec<(usize, String)>,
    more: usize,
}

impl<'i> Complaints<'i> {
    fn new(input: &'i Input, name: String) -> Self {
        Self {
            input,
            name,
            status: None,
            found: Vec::new(),
            more: 0,
        }
    }

    fn add(&mut self, index: usize, status: Status, message: &dyn std::fmt::Display) {
        // An unreachable KMS explains more than a wrong payload.
        if self.status.is_none_or(|known| known == Status::Data) {
            self.status = Some(status);
        }
        if self.found.len() < MOST_NAMED {
            self.found.push((index, message.to_string()));
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self) -> Option<Status> {
        self.found.sort_by_key(|(index, _)| *index);
        let mut places = self.input.places();
        for (index, message) in &self.found {
            let place = places.of(*index);
            exit::say(format_args!("{}: {place}: {message}", self.name));
        }
        if self.more > 0 {
            exit::say(format_args!(
                "{}: {} more payloads cannot be processed",
                self.name, self.more
            ));
        }
        self.status
    }
}

async fn codec(args: &TransformArgs) -> Result<Codec, Failure> {
    let namespace = Namespace::new(&args.namespace)
        .map_err(|error| Failure::new(Status::Usage, format_args!("--namespace: {error}")))?;
    let (config, kms) = if let Some(file) = &args.config {
        let config = Config::load_settings(file)?;
        (of_file(&config, file, &namespace)?, config.keys)
    } else {
        let settings = settings(args)?;
        let mut config = NamespaceConfig::from_settings(&settings).ok_or_else(|| {
            Failure::new(
                Status::Configuration,
                "no key is named; use --key, or set TEMPORAL_CODEC_KEY",
            )
        })?;
        config.open_formats_too(&args.decrypt_formats);
        (config, settings.kms)
    };
    let opened = async {
        let keys = Keys::open(&config, &kms, &mut [].into()).await?;
        keys.codec(&config, &namespace, None)
    };
    opened
        .await
        .map_err(|error: Error| OpenError::from(error).into())
}

fn of_file(
    config: &Config,
    file: &Path,
    namespace: &Namespace,
) -> Result<NamespaceConfig, Failure> {
    let named = match &config.namespaces {
        NamespacesConfig::Named(named) => named,
        NamespacesConfig::Any(config) => return Ok(config.clone()),
    };
    named.get(namespace).cloned().ok_or_else(|| {
        let known: Vec<&str> = named.sections().map(|(name, _)| name).collect();
        Failure::new(
            Status::Usage,
            format_args!(
                "{}: there is no namespace {namespace}; choose one of {}",
                file.display(),
                known.join(", ")
            ),
        )
    })
}

/// The variables of a worker, with the arguments over them.
fn settings(args: &TransformArgs) -> Result<CodecSettings, Failure> {
    let choice = KeyChoice::new()
        .keys(&args.keys)
        .keyring(args.keyring.clone())
        .namespace(&args.namespace)
        .keyring_over_services()
        .or_default();
    choice.settings(&variable).map_err(|error| {
        if !args.keys.is_empty() && error.setting() == KEY {
            return Failure::new(Status::Usage, format_args!("--key: {}", error.reason()));
        }
        Failure::new(Status::Configuration, error)
    })
}

fn name(path: &Path) -> String {
    if is_standard(path) {
        return "stdin".to_owned();
    }
    path.display().to_string()
}

fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let name = name(path);
    let failed = |status| {
        let name = name.clone();
        move |error: std::io::Error| {
            Failure::new(
                status,
                format_args!("{name}: cannot read the input: {error}"),
            )
        }
    };
    let too_large = || {
        Failure::new(
            Status::Data,
            format_args!("{name}: the input has more than {limit} bytes; raise --max-input"),
        )
    };
    if is_standard(path) {
        return text::read(std::io::stdin().lock(), limit)
            .map_err(failed(Status::Io))?
            .ok_or_else(too_large);
    }
    let file = File::open(path).map_err(failed(Status::NoInput))?;
    if file.metadata().map_err(failed(Status::NoInput))?.is_dir() {
        return Err(failed(Status::NoInput)(
            std::io::ErrorKind::IsADirectory.into(),
        ));
    }
    text::read(file, limit)
        .map_err(failed(Status::Io))?
        .ok_or_else(too_large)
}
