//! Why a call of the client library failed.

use std::{error::Error, time::Duration};

use temporal_kms_codec::Error as CodecError;
use thiserror::Error;

use super::{MissingNamespace, chain::error_chain, connect_error::ConnectError, queue::no_worker};
use crate::task::TaskId;

/// A call failed. A task that failed is not an error but a [`TaskEnd`](super::TaskEnd).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Temporal or the key cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The namespace does not exist.
    #[error(transparent)]
    Namespace(#[from] MissingNamespace),
    /// A task with this id exists, or existed.
    #[error("a task `{0}` already exists or existed; choose another --task-id")]
    Exists(TaskId),
    /// No task has this id.
    #[error("the task `{0}` does not exist in this namespace; check the id and --namespace")]
    NotFound(TaskId),
    /// The stored result belongs to another task.
    #[error(
        "the stored result of task `{0}` belongs to another task. A user who can write to Temporal replaced it. Do not \
         use it, and submit the task again with another id"
    )]
    ForeignResult(TaskId),
    /// A worker is required, and no worker polls the task queue.
    #[error("{}", no_worker(.0))]
    NoWorker(String),
    /// Temporal refused the task, or did not answer.
    #[error(
        "cannot submit task `{task}`: {problem}. Check Temporal, and submit the task again with --task-id {task}"
    )]
    Submit {
        /// The task.
        task: TaskId,
        /// Why.
        problem: String,
    },
    /// Temporal does not take the request, because it is too large.
    #[error(
        "the request of task `{0}` is larger than Temporal accepts; shorten it, or use a store (--store)"
    )]
    TooLarge(TaskId),
    /// The secrets of the request cannot be stored.
    #[error("cannot submit task `{task}`: {problem}")]
    Secrets {
        /// The task.
        task: TaskId,
        /// Why, and what to do.
        problem: String,
    },
    /// The request cannot be signed.
    #[error("cannot sign the request of task `{task}`: {problem}. Check --sign-with")]
    Signing {
        /// The task.
        task: TaskId,
        /// Why.
        problem: String,
    },
    /// Temporal or the key service did not answer a call about the task.
    #[error(
        "cannot get news of task `{task}`: {problem}. The task continues; try `claude-tasks follow {task}`"
    )]
    Unreachable {
        /// The task.
        task: TaskId,
        /// Why.
        problem: String,
    },
    /// Temporal or the key service did not answer a call about many tasks.
    #[error("cannot list the tasks: {problem}. Check Temporal and the key service, and try again")]
    List {
        /// Why.
        problem: String,
    },
    /// A task service cannot be called.
    #[error("cannot call the task service: {problem}. Check --server, and that the service runs")]
    Server {
        /// Why.
        problem: String,
    },
    /// A task service refuses the call.
    #[error("the task service refuses this ({status}): {problem}")]
    Refused {
        /// The status of its answer.
        status: u16,
        /// Its reason, and what to do.
        problem: String,
        /// When the service wants to be called again.
        retry_after: Option<Duration>,
    },
    /// The stored payloads of the task cannot be decrypted with this client's keys.
    #[error("cannot decrypt task `{task}`: {problem}. Use the key with which it was submitted")]
    Unreadable {
        /// The task.
        task: TaskId,
        /// Why.
        problem: String,
    },
}

impl ClientError {
    /// The error of a call about a task that exists.
    pub(super) fn of_call(task: &TaskId, error: &(dyn Error + 'static)) -> Self {
        let (task, problem) = (task.clone(), problem_of_reading(error));
        if is_unreadable(error) {
            Self::Unreadable { task, problem }
        } else {
            Self::Unreachable { task, problem }
        }
    }
}

/// An error of reading, with its causes. A new key would decrypt nothing, so no text tells to create one.
pub(super) fn problem_of_reading(error: &(dyn Error + 'static)) -> String {
    match codec_error(error) {
        Some(CodecError::Provider(reason)) if reason.is_key_missing() => {
            reason.what_happened().into_owned()
        }
        _ => error_chain(error),
    }
}

/// Whether a payload was refused for good. A transient error of the key service does not count.
fn is_unreadable(error: &(dyn Error + 'static)) -> bool {
    codec_error(error).is_some_and(|error| !error.is_transient())
}

/// The codec's error among the causes.
pub(super) fn codec_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CodecError> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use temporal_kms_codec::{
        PayloadError,
        kms::{ProviderError, ProviderErrorKind},
    };

    use super::*;

    /// What the text of an error must name: the subject, and what to do. A new variant does not compile until it is here.
    fn names(error: &ClientError) -> &'static [&'static str] {
        use ClientError as E;
        match error {
            E::Connect(_) => &["CLAUDE_TASKS_KEYRING", "set TEMPORAL_CODEC_KEYRING"],
            E::Namespace(_) => &["`payroll`", "check --namespace"],
            E::Exists(_) => &["`t-1`", "choose another --task-id"],
            E::NotFound(_) => &["`t-1`", "check the id and --namespace"],
            E::ForeignResult(_) => &["`t-1`", "submit the task again with another id"],
            E::NoWorker(_) => &["claude", "worker"],
            E::Submit { .. } => &["`t-1`", "submit the task again with --task-id t-1"],
            E::TooLarge(_) => &["`t-1`", "shorten it", "--store"],
            E::Secrets { .. } => &["`t-1`", "Check --store"],
            E::Signing { .. } => &["`t-1`", "Check --sign-with"],
            E::Unreachable { .. } => &["`t-1`", "try `claude-tasks follow t-1`"],
            E::Server { .. } => &["the task service", "Check --server"],
            E::Refused { .. } => &["the task service", "(403)", "choose another taskId"],
            E::List { .. } => &["the tasks", "try again"],
            E::Unreadable { .. } => &["`t-1`", "Use the key with which it was submitted"],
        }
    }

    #[test]
    fn every_error_names_its_subject_and_what_to_do() {
        let task = || -> TaskId { "t-1".parse().unwrap() };
        let problem = || "timeout".to_owned();
        let all = [
            ClientError::Connect(ConnectError::OldVariable),
            ClientError::Namespace(MissingNamespace::new("payroll", "temporal:7233")),
            ClientError::Exists(task()),
            ClientError::NotFound(task()),
            ClientError::ForeignResult(task()),
            ClientError::NoWorker("claude".to_owned()),
            ClientError::Submit {
                task: task(),
                problem: problem(),
            },
            ClientError::TooLarge(task()),
            ClientError::Secrets {
                task: task(),
                problem: "Check --store".to_owned(),
            },
            ClientError::Signing {
                task: task(),
                problem: problem(),
            },
            ClientError::Unreachable {
                task: task(),
                problem: problem(),
            },
            ClientError::List { problem: problem() },
            ClientError::Server { problem: problem() },
            ClientError::Refused {
                status: 403,
                problem: "choose another taskId".to_owned(),
                retry_after: None,
            },
            ClientError::Unreadable {
                task: task(),
                problem: problem(),
            },
        ];
        for error in all {
            let text = error.to_string();
            for name in names(&error) {
                assert!(text.contains(name), "`{text}` does not name {name}");
            }
        }
    }

    #[test]
    fn a_refused_payload_is_unreadable_and_a_lost_connection_is_not() {
        let refused = CodecError::from(PayloadError::NotAuthentic);
        assert!(is_unreadable(&refused));
        assert!(!is_unreadable(&std::io::Error::other("lost")));
    }

    #[test]
    fn a_missing_key_is_not_to_be_created() {
        let key = "aws-kms://alias/a".parse().unwrap();
        let missing = ProviderError::new(ProviderErrorKind::KeyNotFound, &key);
        let task: TaskId = "t-1".parse().unwrap();
        assert_eq!(
            ClientError::of_call(&task, &CodecError::from(missing)).to_string(),
            "cannot decrypt task `t-1`: aws-kms://alias/a: key not found. Use the key with which it was submitted"
        );
    }
}
