//! How a command ends: its exit code, and its error message.

use std::{io, process::ExitCode};

use temporal_kms_codec_service::{
    env_origin,
    exit::{Status, after_signal, list},
    listener::ListenAddress,
    settings::Problems,
};
use thiserror::Error;

use super::{input::InputError, webhook_input::WebhookInputError};
use crate::{
    api::ApiServerError,
    client::{ClientError, ConnectError, ConnectionError, EndKind},
    print,
    store::{LocationError, StoreError},
    task::TaskId,
    webhook::SecretError,
    worker::{ConfigError, WorkerError},
};

/// The exit code of a failed task.
const FAILED: u8 = 1;
/// The exit code of a cancelled task, as shells report it for Ctrl-C.
const CANCELLED: u8 = after_signal(2);

/// The exit codes of the commands, for help texts. The README repeats them.
pub(super) fn exit_codes() -> String {
    let further = [
        (FAILED, "the task failed"),
        (64, "wrong command line, or a value that a task cannot have"),
        (
            65,
            "bad JSON, a payload that cannot be decrypted, or a forged webhook",
        ),
        (66, "a file cannot be read, or the task does not exist"),
        (
            69,
            "Temporal or the key service is unreachable, or no worker runs",
        ),
        (70, "a defect of this program"),
        (73, "a folder cannot be created"),
        (77, "a permission or a credential is missing"),
        (78, "a key, a variable or the namespace is wrong"),
        (CANCELLED, "the task was cancelled"),
    ];
    list(&[], &further)
}

/// How a command ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandEnd {
    /// It did what it was asked to do.
    Done,
    /// The task failed.
    TaskFailed,
    /// The task was cancelled.
    TaskCancelled,
}

impl CommandEnd {
    pub(super) fn of_task(kind: EndKind) -> Self {
        match kind {
            EndKind::Completed => Self::Done,
            EndKind::Failed => Self::TaskFailed,
            EndKind::Cancelled => Self::TaskCancelled,
        }
    }
}

/// Why a command failed.
#[derive(Debug, Error)]
pub(super) enum CommandError {
    /// The options and files do not make a request.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The client cannot connect.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A call about a task failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Claude Code cannot be used.
    #[error(transparent)]
    Claude(#[from] ConfigError),
    /// A webhook is not genuine, or cannot be checked.
    #[error(transparent)]
    Webhook(#[from] WebhookInputError),
    /// The secret of webhooks cannot be used.
    #[error(transparent)]
    WebhookSecret(#[from] SecretError),
    /// Webhooks cannot be sent.
    #[error("cannot prepare webhooks: {0}. Check the system's certificate authorities")]
    Webhooks(String),
    /// The worker failed.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The configuration of the API is wrong.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// The API cannot start.
    #[error(transparent)]
    Api(#[from] ApiServerError),
    /// Traces and metrics cannot be sent as the variables say.
    #[error("{0}")]
    Telemetry(String),
    /// The audit log cannot be used.
    #[error("the audit log: {0}")]
    Audit(String),
    /// The address for probes cannot be used.
    #[error("cannot listen on {address}: {source}. Choose another address with --admin-listen")]
    Listen {
        /// The address.
        address: ListenAddress,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// The variable does not name a bucket.
    #[error(
        "GCS_LOGS_BUCKET is wrong: {0}. Correct it, or name a store with --store (CLAUDE_TASKS_STORE)"
    )]
    LogsBucket(LocationError),
    /// No store is named.
    #[error(
        "name the store of the logs with --store (CLAUDE_TASKS_STORE). That of `claude-tasks all` is the folder `store` in its \
         --workdir"
    )]
    NoStore,
    /// The store has no log of the task.
    #[error(
        "the store has no log of task `{0}`. Check the id and --store. A worker without --store keeps its logs in its folder"
    )]
    NoLog(TaskId),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(#[source] io::Error),
    /// The asynchronous runtime cannot start.
    #[error("cannot start the program's threads: {0}")]
    Runtime(#[source] io::Error),
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

fn of_store(error: &StoreError) -> Status {
    match error {
        StoreError::Seal { .. } | StoreError::Replaced { .. } => Status::Data,
        StoreError::Missing { .. } => Status::NoInput,
        _ => Status::Unavailable,
    }
}

impl CommandError {
    fn status(&self) -> Status {
        match self {
            Self::Input(error) => error.status(),
            Self::Connect(error) => of_connect(error),
            Self::Client(error) => of_client(error),
            Self::Claude(_)
            | Self::Telemetry(_)
            | Self::Audit(_)
            | Self::Configuration(_)
            | Self::LogsBucket(_)
            | Self::WebhookSecret(_)
            | Self::Webhooks(_) => Status::Configuration,
            Self::Api(error) => match error {
                ApiServerError::Listen { .. } => Status::Unavailable,
                _ => Status::Configuration,
            },
            Self::Listen { .. } => Status::Unavailable,
            Self::Worker(error) => of_worker(error),
            Self::Store(error) => of_store(error),
            Self::NoLog(_) => Status::NoInput,
            Self::NoStore => Status::Usage,
            Self::Webhook(error) => of_webhook(error),
            Self::Signals(_) | Self::Runtime(_) => Status::Software,
        }
    }
}

/// Prints the error, if there is one, and returns the exit code.
pub(super) fn exit_code(ended: Result<CommandEnd, CommandError>) -> ExitCode {
    match ended {
        Ok(CommandEnd::Done) => ExitCode::SUCCESS,
        Ok(CommandEnd::TaskFailed) => FAILED.into(),
        Ok(CommandEnd::TaskCancelled) => CANCELLED.into(),
        Err(error) => {
            let text = error.to_string();
            print::error(&text);
            if let Some(origin) = env_origin::of_error(&text) {
                print::labelled("note", &origin);
            }
            error.status().into()
        }
    }
}

fn of_connect(error: &ConnectError) -> Status {
    match error {
        ConnectError::Address(_) => Status::Usage,
        ConnectError::File { .. } => Status::NoInput,
        ConnectError::Codec(error) | ConnectError::Decrypt(error) => Status::of(error),
        ConnectError::KeyringUnused | ConnectError::OldVariable | ConnectError::Store(_) => {
            Status::Configuration
        }
        ConnectError::Temporal(ConnectionError::Denied { .. }) => Status::NoPermission,
        ConnectError::Temporal(_) => Status::Unavailable,
    }
}

fn of_client(error: &ClientError) -> Status {
    match error {
        ClientError::Connect(error) => of_connect(error),
        ClientError::Namespace(_) => Status::Configuration,
        ClientError::Exists(_) | ClientError::TooLarge(_) => Status::Usage,
        ClientError::Refused { status, .. } => match status {
            401 | 403 => Status::NoPermission,
            429 | 500.. => Status::Unavailable,
            _ => Status::Usage,
        },
        ClientError::NotFound(_) => Status::NoInput,
        ClientError::ForeignResult(_) | ClientError::Unreadable { .. } => Status::Data,
        ClientError::NoWorker(_)
        | ClientError::Submit { .. }
        | ClientError::List { .. }
        | ClientError::Server { .. }
        | ClientError::Secrets { .. }
        | ClientError::Signing { .. }
        | ClientError::Unreachable { .. } => Status::Unavailable,
    }
}

fn of_webhook(error: &WebhookInputError) -> Status {
    match error {
        WebhookInputError::Missing(_) => Status::Usage,
        WebhookInputError::NoSecret | WebhookInputError::Secret(_) => Status::Configuration,
        WebhookInputError::Read(_) => Status::NoInput,
        WebhookInputError::Twice(_)
        | WebhookInputError::Large
        | WebhookInputError::NotGenuine(_) => Status::Data,
    }
}

fn of_worker(error: &WorkerError) -> Status {
    match error {
        WorkerError::Connect(error) => of_connect(error),
        WorkerError::Namespace(_)
        | WorkerError::Claude(_)
        | WorkerError::RequestKey(_)
        | WorkerError::Sandbox(_)
        | WorkerError::Api(_) => Status::Configuration,
        WorkerError::Workdir { source, .. } => match source.kind() {
            io::ErrorKind::PermissionDenied => Status::NoPermission,
            _ => Status::CannotCreate,
        },
        WorkerError::Signals(_) | WorkerError::Worker(_) => Status::Software,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_repeats_the_exit_codes() {
        let readme = include_str!("../../README.md");
        for line in exit_codes().lines().skip(1) {
            let (code, meaning) = line.trim().split_once("  ").unwrap();
            let row = format!("| {code} | {meaning} |");
            assert!(readme.contains(&row), "{row}");
        }
    }
}
