//! What a submission is made of: options, files, and the credential in the environment.

use crate::request::{MAX_REQUEST_BYTES, PermissionMode, RequestError, TaskRequest};
use clap::Args;
use serde_json::{Map, Value};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};
use thiserror::Error;
use zeroize::Zeroizing;

/// The variables with the caller's credential, as Claude Code itself names them.
const CREDENTIALS: [(&str, &str); 2] = [
    ("ANTHROPIC_API_KEY", "anthropicApiKey"),
    ("CLAUDE_CODE_OAUTH_TOKEN", "anthropicOAuthToken"),
];

/// What to do. The credential is taken from `ANTHROPIC_API_KEY` or `CLAUDE_CODE_OAUTH_TOKEN`, or stands
/// in the request file.
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
    /// How many turns Claude may take.
    #[arg(long, value_name = "N")]
    pub max_turns: Option<u32>,
    /// How long the task may run.
    #[arg(long, value_name = "MINUTES")]
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

/// The submission cannot be made into a task.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum InputError {
    /// A file that cannot be read.
    #[error("{path} cannot be read: {source}")]
    File {
        /// The file; `-` is standard input.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Two things from standard input.
    #[error("only one of --prompt-file and --request can be standard input")]
    TwiceStdin,
    /// No valid task.
    #[error("{0}")]
    Request(#[from] RequestError),
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
            Some(path) => fields(&read(path)?)?,
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
            let text = String::from_utf8(read(path)?.to_vec()).map_err(|_| InputError::File {
                path: path.clone(),
                source: io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8 text"),
            })?;
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
        Ok(TaskRequest::from_value(Value::Object(fields))?)
    }
}

fn fields(json: &[u8]) -> Result<Map<String, Value>, InputError> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(RequestError::NoObject.into()),
        Err(e) => Err(RequestError::Json {
            line: e.line(),
            column: e.column(),
        }
        .into()),
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
        return Err(RequestError::TooLarge {
            limit: MAX_REQUEST_BYTES,
        }
        .into());
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
        for (environment, expected) in [
            (&[][..], RequestError::NoCredential),
            (&[KEY, TOKEN], RequestError::TwoCredentials),
        ] {
            let Err(InputError::Request(error)) = request(&["--prompt", "do"], environment) else {
                panic!("accepted");
            };
            assert_eq!(error, expected);
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
                .starts_with("/no/such/file cannot be read"),
            "{missing}"
        );
    }
}
