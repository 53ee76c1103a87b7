//! What a task is: its request, its events, and how it ended. This module runs nothing and sends nothing.

mod any_payload;
mod definition;
mod effects;
mod event;
mod event_fields;
mod failure;
mod follower;
mod id;
mod json_size;
mod outcome;
mod progress;
mod request;
mod secret;
mod secret_json;
mod step;
mod step_error;

pub(crate) use definition::{FollowerJoined, FollowerLeft, WEBHOOK_WORKFLOW};
pub use definition::{LastProgress, State, TaskWorkflow};
pub use effects::{GitCommit, Recovery, RecoveryMethod, UploadedFile};
pub use event::ResultEvent;
pub(crate) use event::{Event, OWN_TYPE, text_event};
pub(crate) use event_fields::EventFields;
pub use failure::FailureKind;
pub(crate) use failure::FailureReport;
pub(crate) use follower::Follower;
pub(crate) use follower::Followers;
pub use id::{TaskId, TaskIdError};
pub(crate) use json_size::of_text as json_length;
pub use outcome::{SessionOutcome, TaskResult};
pub use progress::Progress;
pub(crate) use request::SealedSecrets;
pub use request::{
    ConflictStrategy, Credential, GitAction, MAX_REQUEST_BYTES, PermissionMode,
    PostExecutionActions, PromptFile, RequestError, RequestRules, TaskInput, TaskRequest,
    UploadAction,
};
pub(crate) use request::{DEFAULT_MAX_TURNS, DEFAULT_TIMEOUT_MINUTES, MAX_MINUTES, MAX_TURNS};
#[allow(unused_imports, reason = "the steps that clone use them")]
pub(crate) use request::{GitTransport, GitUrl};
pub use secret::Secret;
pub use secret_json::SecretJson;
pub(crate) use secret_json::wipe;
pub(crate) use step::{
    ActionsReport, CloseTask, PREPARE, PREPARE_TIME, Prepared, SESSIONS, STEPS_TIME,
    SessionMetadata, StepInput,
};
pub use step::{Step, TaskState};
pub(crate) use step_error::StepError;
