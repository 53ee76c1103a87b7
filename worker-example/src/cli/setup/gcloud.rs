//! Commands of `gcloud`: printed for a shell, or run.

use std::{io, process::Stdio, time::Duration};

use temporal_kms::support::{shell_command, shell_word};
use temporal_kms_codec_service::{exit::Status, terminal};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    time::timeout,
};
use zeroize::Zeroizing;

/// More than any list of resources.
const MAX_OUTPUT: u64 = 8 * 1024 * 1024;
/// A build of the images takes the longest.
const TIME: Duration = Duration::from_mins(90);
/// How many lines of a failed command are shown.
const SHOWN: usize = 8;

/// What a text has in place of the project's number, which only the project itself knows. A shell reads it as a variable.
pub(super) const NUMBER: &str = "$PROJECT_NUMBER";

/// Why a command did not do its work.
#[derive(Debug, Error)]
#[error("{message}")]
pub(super) struct GcloudError {
    /// With which the program ends.
    pub(super) status: Status,
    message: String,
}

impl GcloudError {
    pub(super) fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    fn io(error: &io::Error) -> Self {
        Self::new(Status::Io, format!("gcloud: {error}"))
    }
}

/// One call of `gcloud`.
#[derive(Clone, Debug)]
pub(super) struct Gcloud {
    /// The command and its positional arguments.
    words: Vec<String>,
    options: Vec<String>,
    input: Input,
}

/// What the program reads from standard input.
#[derive(Clone, Debug)]
enum Input {
    None,
    Text(String),
    /// A new secret: 32 random bytes in hexadecimal.
    Secret,
}

impl Gcloud {
    /// `gcloud` with these words, which hold no space, and no options yet.
    pub(super) fn new(words: &str) -> Self {
        Self {
            words: words.split(' ').map(str::to_owned).collect(),
            options: Vec::new(),
            input: Input::None,
        }
    }

    /// With a further positional argument.
    pub(super) fn arg(mut self, argument: &str) -> Self {
        self.words.push(argument.to_owned());
        self
    }

    /// With `--NAME=VALUE`.
    pub(super) fn option(mut self, name: &str, value: &str) -> Self {
        self.options.push(format!("--{name}={value}"));
        self
    }

    /// With `--NAME`.
    pub(super) fn flag(mut self, name: &str) -> Self {
        self.options.push(format!("--{name}"));
        self
    }

    /// Reads this text from standard input.
    pub(super) fn reading(mut self, text: &str) -> Self {
        self.input = Input::Text(text.to_owned());
        self
    }

    /// Reads a new secret from standard input. Nobody else sees it.
    pub(super) fn reading_secret(mut self) -> Self {
        self.input = Input::Secret;
        self
    }

    fn arguments(&self) -> impl Iterator<Item = &str> {
        self.words.iter().chain(&self.options).map(String::as_str)
    }

    /// Everything that makes the command what it is, for a fingerprint.
    pub(super) fn text(&self) -> String {
        let arguments: Vec<_> = self.arguments().collect();
        let mut text = arguments.join("\n");
        if let Input::Text(input) = &self.input {
            text.push_str("\n\n");
            text.push_str(input);
        }
        text
    }

    /// The command for a POSIX shell, which has [`NUMBER`] as a variable.
    pub(super) fn shell(&self) -> String {
        let words: Vec<_> = std::iter::once("gcloud".to_owned())
            .chain(self.arguments().map(shell_argument))
            .collect();
        let command = shell_command(&words);
        match &self.input {
            Input::None => command,
            Input::Secret => format!("openssl rand -hex 32 | tr -d '\\n' | {command}"),
            Input::Text(text) => {
                // Without quotes around EOF, the shell replaces the number.
                let end = if text.contains(NUMBER) {
                    "EOF"
                } else {
                    "'EOF'"
                };
                format!("{} <<{end}\n{}\nEOF\n", command.trim_end(), text.trim_end())
            }
        }
    }

    /// Runs it, and returns what it prints.
    ///
    /// # Errors
    /// `gcloud` is missing, fails, prints too much, or takes too long.
    pub(super) async fn run(&self, number: &str) -> Result<String, GcloudError> {
        let mut command = Command::new("gcloud");
        command
            .args(self.arguments().map(|word| word.replace(NUMBER, number)))
            // It must not ask questions: nobody answers.
            .env("CLOUDSDK_CORE_DISABLE_PROMPTS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => GcloudError::new(
                Status::Configuration,
                "gcloud is not on the PATH; install the Google Cloud CLI, and run `gcloud auth login`",
            ),
            _ => GcloudError::io(&error),
        })?;
        let stdin = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let input = self.input(number)?;
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program that fails early does not read its input. Its exit code tells more.
                let _ = stdin.write_all(&input).await;
            }
        };
        let ran = async { tokio::join!(write, text(stdout), text(stderr), child.wait()) };
        let Ok(((), stdout, stderr, status)) = timeout(TIME, ran).await else {
            return Err(self.failed(Status::Unavailable, "it took longer than 90 minutes"));
        };
        let status = status.map_err(|error| GcloudError::io(&error))?;
        let (stdout, stderr) = (stdout?, stderr?);
        if status.success() {
            return Ok(stdout);
        }
        let is_denied = [
            "PERMISSION_DENIED",
            "does not have permission",
            "gcloud auth login",
        ]
        .iter()
        .any(|text| stderr.contains(text));
        let reason = if is_denied {
            Status::NoPermission
        } else {
            Status::Unavailable
        };
        Err(self.failed(reason, &last_lines(&stderr)))
    }

    fn input(&self, number: &str) -> Result<Zeroizing<Vec<u8>>, GcloudError> {
        Ok(match &self.input {
            Input::None => Zeroizing::default(),
            Input::Text(text) => Zeroizing::new(text.replace(NUMBER, number).into_bytes()),
            Input::Secret => {
                let mut bytes = Zeroizing::new([0; 32]);
                getrandom::fill(&mut *bytes).map_err(|error| {
                    GcloudError::new(
                        Status::Software,
                        format!("the system has no random bytes: {error}"),
                    )
                })?;
                Zeroizing::new(hex::encode(*bytes).into_bytes())
            }
        })
    }

    fn failed(&self, status: Status, reason: &str) -> GcloudError {
        let reason = terminal::lines(reason);
        GcloudError::new(status, format!("gcloud {}: {reason}", self.words.join(" ")))
    }
}

/// A word in single quotes where it needs them, and in double quotes where the shell replaces the number.
fn shell_argument(word: &str) -> String {
    if word.contains(NUMBER) {
        return format!("\"{word}\"");
    }
    match word.split_once('=') {
        Some((option, value)) if option.starts_with("--") => {
            format!("{option}={}", shell_word(value))
        }
        _ => shell_word(word),
    }
}

async fn text(output: Option<impl AsyncRead + Unpin>) -> Result<String, GcloudError> {
    let mut bytes = Vec::new();
    if let Some(mut output) = output {
        let mut limited = (&mut output).take(MAX_OUTPUT);
        limited
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| GcloudError::io(&error))?;
        if limited.limit() == 0 {
            return Err(GcloudError::new(
                Status::Data,
                "gcloud printed more than 8 MiB; this project has too many resources for this command",
            ));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let shown = lines.len().saturating_sub(SHOWN);
    match lines.get(shown..) {
        Some(lines) if !lines.is_empty() => lines.join("\n"),
        _ => "it failed without a message".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_same_words() {
        let command = Gcloud::new("run deploy")
            .arg("a b")
            .option("set-env-vars", "^|^A=x y|B=it's")
            .option("url", &format!("https://a-{NUMBER}.run.app"));
        assert_eq!(
            command.shell(),
            "gcloud run deploy 'a b' \\\n  --set-env-vars='^|^A=x y|B=it'\\''s' \"--url=https://a-$PROJECT_NUMBER.run.app\"\n"
        );
        let command = Gcloud::new("secrets versions add s").flag("quiet");
        assert_eq!(
            command.clone().reading("a\nb\n").shell(),
            "gcloud secrets versions add s \\\n  --quiet <<'EOF'\na\nb\nEOF\n"
        );
        assert_eq!(
            command.clone().reading(&format!("a {NUMBER}")).shell(),
            "gcloud secrets versions add s \\\n  --quiet <<EOF\na $PROJECT_NUMBER\nEOF\n"
        );
        assert!(
            command
                .reading_secret()
                .shell()
                .starts_with("openssl rand -hex 32 |")
        );
    }

    #[test]
    fn the_end_of_a_message_says_what_is_wrong() {
        let text = (0..20).fold(String::new(), |text, n| text + &format!("line {n}\n\n"));
        assert!(last_lines(&text).starts_with("line 12\n"));
        assert_eq!(last_lines("\n"), "it failed without a message");
    }
}
