//! A task as its caller describes it: the JSON that becomes the workflow's encrypted input.

mod actions;
mod environment;
mod error;
mod git_url;
mod input;
mod lenient;
mod limits;
mod model;
mod parse;
mod paths;
mod rules;
mod split;
mod validate;

pub use actions::{ConflictStrategy, GitAction, PostExecutionActions, PromptFile, UploadAction};
pub use error::RequestError;
#[allow(unused_imports, reason = "the steps that clone use them")]
pub(crate) use git_url::{GitTransport, GitUrl};
pub use input::TaskInput;
pub use limits::MAX_REQUEST_BYTES;
pub(crate) use limits::{DEFAULT_MAX_TURNS, DEFAULT_TIMEOUT_MINUTES, MAX_MINUTES, MAX_TURNS};
pub use model::{Credential, PermissionMode, TaskRequest};
pub use rules::RequestRules;
pub(crate) use split::SealedSecrets;

#[cfg(test)]
mod tests;
