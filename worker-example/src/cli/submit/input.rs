//! What a submission is made of: options, files, and the credential in the environment.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Map, Value};
use temporal_kms_codec_service::exit::Status;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::request::{
    DEFAULT_MAX_TURNS, DEFAULT_TIMEOUT_MINUTES, MAX_MINUTES, MAX_REQUEST_BYTES, MAX_TURNS,
    PermissionMode, RequestError, TaskRequest,
};

/// The variables with the caller's credential, as Claude Code itself names them.
const CREDENTIALS: [(&str, &str); 2] = [
    ("ANTHROPIC_API_KEY", "anthropicApiKey"),
    ("CLAUDE_CODE_OAUTH_TOKEN", "anthropicOAuthToken"),
];

/// What to do. The credential comes from `ANTHROPIC_API_KEY` or `CLAUDE_CODE_OAUTH_TOKEN`, or is in the request file.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Task")]
pub(crate) struct InputArgs {
    /// The prompt. Others on this machine can see it while this program runs: for a secret one use
    /// --prompt-file.
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_file")]
    pub prompt: Option<String>,
    /// A file with the prompt; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub prompt_file: Option<PathBuf>,
    /// A file with the whole request as JSON, the body of the task API; `-` for standard input.
    /// Options override its fields.
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,
    /// The model.
    #[arg(long)]
    pub model: Option<String>,
    #[arg(long, value_name = "N", help = turns_help(), value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_TURNS)))]
    pub max_turns: Option<u32>,
    #[arg(long, value_name = "MINUTES", help = timeout_help(), value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_MINUTES)))]
    pub timeout_minutes: Option<u32>,
    /// What is allowed without asking.
    #[arg(long)]
    pub permission_mode: Option<PermissionMode>,
    /// A tool that is allowed without asking; may be given several times.
    #[arg(long = "allowed-tool", value_name = "TOOL")]
    pub allowed_tools: Vec<String>,
    /// A tool that is not allowed; may be given several times.
    #[arg(long = "disallowed-tool", value_name = "TOOL")]
    pub disallowed_tools: Vec<String>,
}

fn turns_help() -> String {
    format!("How many turns Claude may take, 1 to {MAX_TURNS} [default: {DEFAULT_MAX_TURNS}]")
}

fn timeout_help() -> String {
    format!(
        "How long the task may run, 1 to {MAX_MINUTES} minutes [default: {DEFAULT_TIMEOUT_MINUTES}]"
    )
}

/// The submission cannot be made into a task.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum InputError {
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", shown(path))]
    File {
        /// The file; `-` is standard input.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A prompt that is not text.
    #[error("{} is not UTF-8 text", shown(.0))]
    NotText(PathBuf),
    /// Both would come from standard input.
    #[error("only one of --prompt-file and --request can be standard input")]
    TwiceStdin,
    /// A file above the limit.
    #[error("{} is larger than {MAX_REQUEST_BYTES} bytes, the most that a task can have", shown(.0))]
    LargeFile(PathBuf),
    /// A request above the limit.
    #[error(
        "the task is {bytes} bytes as JSON, and the most is {MAX_REQUEST_BYTES}; shorten the prompt. Line breaks, quotes \
         and backslashes count twice"
    )]
    Large {
        /// Its size.
        bytes: usize,
    },
    /// No prompt at all.
    #[error("give --prompt, --prompt-file or --request")]
    NoPrompt,
    /// No credential.
    #[error("set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN")]
    NoCredential,
    /// Two credentials in the environment.
    #[error("set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN, not both")]
    TwoCredentials,
    /// An option that cannot be.
    #[error("{0}")]
    Option(RequestError),
    /// A request file that cannot be.
    #[error("{}: {problem}", shown(path))]
    Request {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: RequestError,
    },
}

impl InputError {
    /// The program's exit status.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::File { .. } => Status::NoInput,
            Self::NotText(_)
            | Self::Request {
                problem: RequestError::Json { .. } | RequestError::NoObject,
                ..
            } => Status::Data,
            _ => Status::Usage,
        }
    }
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

impl InputArgs {
    /// The request.
    ///
    /// # Errors
    /// When a file cannot be read or the request is not valid.
    pub(crate) fn request(&self) -> Result<TaskRequest, InputError> {
        self.with(|name| std::env::var(name).ok())
    }

    fn with(&self, variable: impl Fn(&str) -> Option<String>) -> Result<TaskRequest, InputError> {
        let from_stdin = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
        if from_stdin(&self.prompt_file) && from_stdin(&self.request) {
            return Err(InputError::TwiceStdin);
        }
        let mut fields = match &self.request {
            Some(path) => fields(&read(path)?).map_err(|problem| InputError::Request {
                path: path.clone(),
                problem,
            })?,
            None => Map::new(),
        };
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        };
        let list = |list: &[String]| (!list.is_empty()).then(|| list.into());
        set("prompt", self.prompt.clone().map(Value::from));
        if let Some(path) = &self.prompt_file {
            let text = String::from_utf8(read(path)?.to_vec())
                .map_err(|_| InputError::NotText(path.clone()))?;
            set("prompt", Some(text.into()));
        }
        set("model", self.model.clone().map(Value::from));
        set("maxTurns", self.max_turns.map(Value::from));
        set("timeoutMinutes", self.timeout_minutes.map(Value::from));
        set(
            "permissionMode",
            self.permission_mode.map(|mode| mode.as_str().into()),
        );
        set("allowedTools", list(&self.allowed_tools));
        set("disallowedTools", list(&self.disallowed_tools));
        // A request that brings its own credential is not mixed with the environment's.
        if !CREDENTIALS
            .iter()
            .any(|(_, field)| fields.contains_key(*field))
        {
            for (name, field) in CREDENTIALS {
                if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
                    fields.insert(field.to_owned(), value.into());
                }
            }
        }
        let request =
            TaskRequest::from_value(Value::Object(fields)).map_err(|e| self.explain(e))?;
        // Temporal counts the JSON.
        let json = serde_json::to_vec(&request).map(Zeroizing::new);
        match json.map(|json| json.len()) {
            Ok(bytes) if bytes > MAX_REQUEST_BYTES => Err(InputError::Large { bytes }),
            _ => Ok(request),
        }
    }

    /// Says it in the words of the caller: of a file's fields, or of options and variables.
    fn explain(&self, error: RequestError) -> InputError {
        match (&self.request, error) {
            (None, RequestError::Required { field }) if field == "prompt" => InputError::NoPrompt,
            (None, RequestError::NoCredential) => InputError::NoCredential,
            (None, RequestError::TwoCredentials) => InputError::TwoCredentials,
            (None, error) => InputError::Option(error),
            (Some(path), problem) => InputError::Request {
                path: path.clone(),
                problem,
            },
        }
    }
}

fn fields(json: &[u8]) -> Result<Map<String, Value>, RequestError> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(RequestError::NoObject),
        Err(e) => Err(RequestError::Json {
            line: e.line(),
            column: e.column(),
        }),
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, InputError> {
    let read = || {
        let source: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path)?)
        };
        let mut bytes = Zeroizing::new(Vec::new());
        source
            .take(MAX_REQUEST_BYTES as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|source| InputError::File {
        path: path.to_owned(),
        source,
    })?;
    if bytes.len() > MAX_REQUEST_BYTES {
        return Err(InputError::LargeFile(path.to_owned()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        input: InputArgs,
    }

    fn request(
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<TaskRequest, InputError> {
        let cli = Cli::parse_from(std::iter::once(&"submit").chain(arguments));
        cli.input.with(|name| {
            environment
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    const KEY: (&str, &str) = ("ANTHROPIC_API_KEY", "key");
    const TOKEN: (&str, &str) = ("CLAUDE_CODE_OAUTH_TOKEN", "token");

    #[test]
    fn takes_the_credential_from_the_environment() {
        let made = request(&["--prompt", "do", "--max-turns", "2"], &[TOKEN]).unwrap();
        assert_eq!(
            made.credential().unwrap().variable(),
            "CLAUDE_CODE_OAUTH_TOKEN"
        );
        assert_eq!((made.prompt.expose(), made.max_turns), ("do", 2));
        let problem = |arguments: &[&str], environment: &[(&str, &str)]| {
            let error = request(arguments, environment).unwrap_err();
            assert_eq!(error.status(), Status::Usage);
            error.to_string()
        };
        let prompt = ["--prompt", "do"];
        assert_eq!(
            problem(&prompt, &[]),
            "set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN"
        );
        assert!(problem(&prompt, &[KEY, TOKEN]).ends_with("not both"));
        assert_eq!(
            problem(&[], &[KEY]),
            "give --prompt, --prompt-file or --request"
        );
    }

    #[test]
    fn the_size_of_the_json_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompt");
        std::fs::write(&path, "\n\"".repeat(600_000)).unwrap();
        let error = request(&["--prompt-file", path.to_str().unwrap()], &[KEY]).unwrap_err();
        assert!(matches!(error, InputError::Large { bytes } if bytes > 2_400_000));
        assert_eq!(error.status(), Status::Usage);
        std::fs::write(&path, "x".repeat(1_900_000)).unwrap();
        assert!(request(&["--prompt-file", path.to_str().unwrap()], &[KEY]).is_ok());
    }

    #[test]
    fn a_bad_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("request.json");
        for (json, expected, status) in [
            ("{", "the request is no", Status::Data),
            (
                r#"{"prompt": "x", "maxTurns": 0}"#,
                "maxTurns must be",
                Status::Usage,
            ),
        ] {
            std::fs::write(&path, json).unwrap();
            let path = path.to_str().unwrap();
            let error = request(&["--request", path], &[KEY]).unwrap_err();
            assert_eq!(error.status(), status);
            let text = error.to_string();
            assert!(text.starts_with(path) && text.contains(expected), "{text}");
        }
    }

    #[test]
    fn options_override_the_request_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("request.json");
        let json =
            r#"{"prompt": "file", "anthropicApiKey": "own", "maxTurns": 9, "model": "opus"}"#;
        std::fs::write(&path, json).unwrap();
        let path = path.to_str().unwrap();
        let made = request(&["--request", path, "--max-turns", "3"], &[TOKEN]).unwrap();
        assert_eq!(made.credential().unwrap().secret().expose(), "own");
        assert_eq!((made.prompt.expose(), made.max_turns), ("file", 3));
        let made = request(&["--request", path, "--prompt-file", path], &[]).unwrap();
        assert_eq!(made.prompt.expose(), json);
        assert!(matches!(
            request(&["--request", "-", "--prompt-file", "-"], &[KEY]),
            Err(InputError::TwiceStdin)
        ));
        let missing = request(&["--prompt-file", "/no/such/file"], &[KEY]).unwrap_err();
        assert!(
            missing
                .to_string()
                .starts_with("cannot read /no/such/file: "),
            "{missing}"
        );
    }
}
