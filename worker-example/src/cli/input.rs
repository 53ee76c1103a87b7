//! The request of a submission, from options, files, and the credential in the environment.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Map, Value};
use temporal_kms_codec_service::{arguments, exit::Status};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    print,
    task::{
        DEFAULT_MAX_TURNS, DEFAULT_TIMEOUT_MINUTES, MAX_MINUTES, MAX_REQUEST_BYTES, MAX_TURNS,
        PermissionMode, RequestError, TaskRequest,
    },
};

/// The variables with the caller's credential, as Claude Code names them, and the fields of a request for them.
///
/// | variable | meaning |
/// |---|---|
/// | `ANTHROPIC_API_KEY`, `CLAUDE_CODE_OAUTH_TOKEN` | the caller's credential, for `claude-tasks submit` |
const CREDENTIALS: [(&str, &str); 2] = [
    ("ANTHROPIC_API_KEY", "anthropicApiKey"),
    ("CLAUDE_CODE_OAUTH_TOKEN", "anthropicOAuthToken"),
];
/// The heading of options that are a part of the request.
pub(super) const TASK: &str = "Task";
/// What `submit` says when both variables are set. Claude Code itself decides in the same way.
const SECOND_CREDENTIAL: &str =
    "CLAUDE_CODE_OAUTH_TOKEN has no effect, because ANTHROPIC_API_KEY is set, too";

/// What Claude should do. The credential comes from `ANTHROPIC_API_KEY` or `CLAUDE_CODE_OAUTH_TOKEN`, or is in the request
/// file.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = TASK)]
pub(super) struct InputArgs {
    /// The prompt. Other users of this machine can see it while this program runs. Use --prompt-file for a secret prompt.
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_file")]
    pub prompt: Option<String>,
    /// The file with the prompt; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub prompt_file: Option<PathBuf>,
    /// The file with the whole request as JSON; `-` for standard input. Options override its fields.
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,
    /// The model.
    #[arg(long)]
    pub model: Option<String>,
    #[arg(long, value_name = "N", help = turns_help(), value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_TURNS)))]
    pub max_turns: Option<u32>,
    #[arg(long, value_name = "MINUTES", help = timeout_help(), value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_MINUTES)))]
    pub timeout_minutes: Option<u32>,
    /// What Claude may do without permission.
    #[arg(long)]
    pub permission_mode: Option<PermissionMode>,
    /// A tool that Claude may use without permission; may be given several times.
    #[arg(long = "allowed-tool", value_name = "TOOL")]
    pub allowed_tools: Vec<String>,
    /// A tool that is denied; may be given several times.
    #[arg(long = "disallowed-tool", value_name = "TOOL")]
    pub disallowed_tools: Vec<String>,
}

fn turns_help() -> String {
    format!("How many turns Claude may take, from 1 to {MAX_TURNS} [default: {DEFAULT_MAX_TURNS}]")
}

fn timeout_help() -> String {
    format!(
        "How long the task may run, from 1 to {MAX_MINUTES} minutes [default: {DEFAULT_TIMEOUT_MINUTES}]"
    )
}

/// The options and files do not make a request.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum InputError {
    /// A file cannot be read.
    #[error(
        "cannot read {}: {source}; check its path and permissions",
        shown(path)
    )]
    File {
        /// The file; `-` is standard input.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The prompt is not text.
    #[error("the prompt in {} is not UTF-8 text; save it as UTF-8", shown(.0))]
    NotText(PathBuf),
    /// Both files would come from standard input.
    #[error("only one of --prompt-file and --request can be standard input")]
    TwiceStdin,
    /// A file is too large.
    #[error("{} is larger than {MAX_REQUEST_BYTES} bytes; shorten the prompt", shown(.0))]
    LargeFile(PathBuf),
    /// The request is too large.
    #[error(
        "the request has {bytes} bytes as JSON, and may have {MAX_REQUEST_BYTES}; shorten the prompt. Line breaks, quotes and \
         backslashes count twice"
    )]
    Large {
        /// Its size.
        bytes: usize,
    },
    /// There is no prompt.
    #[error("give --prompt, --prompt-file or --request")]
    NoPrompt,
    /// The prompt has no text.
    #[error("{0} is empty; it must say what Claude should do")]
    EmptyPrompt(String),
    /// There is no credential.
    #[error("set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN")]
    NoCredential,
    /// An option or a variable has a value that is not allowed.
    #[error("{name} {problem}")]
    Option {
        /// The option or the variable.
        name: &'static str,
        /// What the value must be.
        problem: String,
    },
    /// The request is not valid for another reason.
    #[error(transparent)]
    Invalid(RequestError),
    /// The request file is not valid.
    #[error("{}: {problem}", shown(path))]
    Request {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: RequestError,
    },
}

impl InputError {
    /// The program's exit status.
    pub(super) fn status(&self) -> Status {
        match self {
            Self::File { .. } => Status::NoInput,
            Self::NotText(_)
            | Self::Request {
                problem: RequestError::Json { .. } | RequestError::NotAnObject,
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
    /// When a file cannot be read, or the request is not valid.
    pub(super) fn request(&self) -> Result<TaskRequest, InputError> {
        self.with(arguments::variable)
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
        // A request with its own credential does not use that of the environment. `null` and an empty text are not one.
        let has_own = |(_, field): &(&str, &str)| {
            let own = fields.get(*field);
            own.is_some_and(|own| !own.is_null() && own.as_str() != Some(""))
        };
        if !CREDENTIALS.iter().any(has_own) {
            let found = CREDENTIALS.map(|(name, field)| Some((field, variable(name)?)));
            let mut found = found.into_iter().flatten();
            if let Some((field, value)) = found.next() {
                fields.insert(field.to_owned(), value.into());
            }
            if found.next().is_some() {
                print::warning(SECOND_CREDENTIAL);
            }
        }
        let request =
            TaskRequest::from_value(Value::Object(fields)).map_err(|e| self.explain(e))?;
        // Temporal's limit counts the JSON.
        let json = serde_json::to_vec(&request).map(Zeroizing::new);
        match json.map(|json| json.len()) {
            Ok(bytes) if bytes > MAX_REQUEST_BYTES => Err(InputError::Large { bytes }),
            _ => Ok(request),
        }
    }

    /// Names the option, the variable or the file that the error is about.
    fn explain(&self, error: RequestError) -> InputError {
        match error {
            RequestError::Required { field } if field == "prompt" => self.no_prompt(field),
            RequestError::Invalid { field, problem } => match self.source_of(&field) {
                Some(name) => InputError::Option { name, problem },
                None => self.invalid(RequestError::Invalid { field, problem }),
            },
            RequestError::NoCredential if self.request.is_none() => InputError::NoCredential,
            error => self.invalid(error),
        }
    }

    fn invalid(&self, problem: RequestError) -> InputError {
        match &self.request {
            Some(path) => InputError::Request {
                path: path.clone(),
                problem,
            },
            None => InputError::Invalid(problem),
        }
    }

    fn no_prompt(&self, field: String) -> InputError {
        match (&self.prompt_file, &self.prompt, &self.request) {
            (Some(path), ..) => InputError::EmptyPrompt(shown(path)),
            (None, Some(_), _) => InputError::EmptyPrompt("--prompt".to_owned()),
            (None, None, Some(_)) => self.invalid(RequestError::Required { field }),
            (None, None, None) => InputError::NoPrompt,
        }
    }

    /// The option or the variable from which a field came. `None` if it came from the request file.
    fn source_of(&self, field: &str) -> Option<&'static str> {
        let option = match field {
            "model" => self.model.as_ref().map(|_| "--model"),
            "maxTurns" => self.max_turns.map(|_| "--max-turns"),
            "timeoutMinutes" => self.timeout_minutes.map(|_| "--timeout-minutes"),
            "allowedTools" => self.allowed_tools.first().map(|_| "--allowed-tool"),
            "disallowedTools" => self.disallowed_tools.first().map(|_| "--disallowed-tool"),
            _ => None,
        };
        let mut variables = CREDENTIALS.iter().filter(|_| self.request.is_none());
        let variable = variables.find(|(_, credential)| *credential == field);
        option.or(variable.map(|(name, _)| *name))
    }
}

fn fields(json: &[u8]) -> Result<Map<String, Value>, RequestError> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(RequestError::NotAnObject),
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
mod tests;
