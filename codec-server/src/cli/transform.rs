//! `encode` and `decode`: payloads from a file or stdin, to a file or stdout.

mod input;
mod text;

use std::{
    fs::File,
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use clap::Args;
use temporal_kms_codec::{Codec, Payload};
use temporal_kms_codec_service::{lifecycle, settings::values};
use zeroize::{Zeroize as _, Zeroizing};

use self::input::Input;
use super::{
    audit_log::CommandLog,
    codec_args::CodecArgs,
    exit::{self, Failure, Status, with_exit_codes},
    output::{Destination, is_standard},
    wanted::{explain, is_regular, keys_of},
};

/// How many payloads that fail are named one by one.
const MOST_NAMED: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransformCommand {
    Encode,
    Decode,
}

impl TransformCommand {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Encode => "encode",
            Self::Decode => "decode",
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct TransformArgs {
    /// The input; `-` is stdin.
    #[arg(default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    codec: CodecArgs,
    /// Where to write; `-` is stdout.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Replace an output file that exists; write to a device or pipe that exists.
    #[arg(long)]
    force: bool,
    /// Keep a payload that cannot be decoded or read unchanged, report it on stderr, and go on. The exit code is then not 0.
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
    /// Print only the content of each payload, one payload a line.
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
    run(TransformCommand::Encode, args, false)
}

pub(super) fn decode(args: &DecodeArgs) -> Result<(), Failure> {
    run(TransformCommand::Decode, &args.transform, args.text)
}

fn run(command: TransformCommand, args: &TransformArgs, as_text: bool) -> Result<(), Failure> {
    let input = (!is_standard(&args.file)).then_some(args.file.as_path());
    let destination = Destination::new(&args.output, args.force, input)?;
    lifecycle::run_interruptible(destination.consequence(), async {
        let files = std::slice::from_ref(&args.file);
        let log = args.codec.log(command.as_str(), files).await?;
        let done = process(command, args, as_text, destination, &log).await;
        log.close(done).await
    })
}

async fn process(
    command: TransformCommand,
    args: &TransformArgs,
    as_text: bool,
    destination: Destination,
    log: &CommandLog,
) -> Result<(), Failure> {
    let codec = match command {
        TransformCommand::Encode => args.codec.codec(log).await?,
        TransformCommand::Decode => {
            let wanted = async {
                if !is_regular(&args.file) {
                    return Vec::new();
                }
                let input = read_input(args).await;
                input.map_or_else(|_| Vec::new(), |input| keys_of(&input.payloads()))
            };
            args.codec.decoder(log, wanted).await?
        }
    };
    let input = read_input(args).await?;
    let mut complaints = Complaints::new(&input, name(&args.file));
    let mut changed = apply(command, &codec, &input, &mut complaints).await?;
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

/// Reads the input, which must hold payloads.
async fn read_input(args: &TransformArgs) -> Result<Input, Failure> {
    let (path, limit) = (args.file.clone(), args.max_input);
    let bytes = tokio::task::spawn_blocking(move || read(&path, limit)).await??;
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
    Ok(input)
}

/// The payloads after the command. A payload that cannot be decoded is kept and reported. Encoding changes all payloads
/// or none.
async fn apply(
    command: TransformCommand,
    codec: &Codec,
    input: &Input,
    complaints: &mut Complaints<'_>,
) -> Result<Vec<Payload>, Failure> {
    for broken in input.broken() {
        complaints.add(broken.index, Status::Data, &broken.error);
    }
    let payloads = input.payloads();
    if command == TransformCommand::Encode {
        return codec.encode(payloads).await.map_err(|error| {
            let message = format!("{}: {error}", complaints.name);
            Failure::new(Status::of(&error), message)
        });
    }
    // The file of the person who runs the command may become as large as memory allows.
    let unbounded = codec.decoder().with_max_decompressed_total(usize::MAX);
    let results = unbounded.decode_each(payloads.clone()).await;
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
