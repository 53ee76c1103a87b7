//! What a task is: its request, its events, and how it ended. This module runs nothing and sends nothing.

mod definition;
mod event;
mod event_fields;
mod failure;
mod id;
mod json_size;
mod outcome;
mod progress;
mod request;
mod secret;
mod secret_json;

pub use definition::{LastProgress, TaskWorkflow};
pub use event::ResultEvent;
pub(crate) use event::{Event, OWN_TYPE};
pub(crate) use event_fields::EventFields;
pub use failure::FailureKind;
pub(crate) use failure::FailureReport;
pub use id::{TaskId, TaskIdError};
pub(crate) use json_size::of_text as json_length;
pub use outcome::{SessionOutcome, TaskResult};
pub use progress::Progress;
pub use request::{
    ConflictStrategy, Credential, GitAction, MAX_REQUEST_BYTES, PermissionMode,
    PostExecutionActions, PromptFile, RequestError, RequestRules, TaskInput, TaskRequest,
    UploadAction,
};
pub(crate) use request::{DEFAULT_MAX_TURNS, DEFAULT_TIMEOUT_MINUTES, MAX_MINUTES, MAX_TURNS};
pub use secret::Secret;
pub use secret_json::SecretJson;
