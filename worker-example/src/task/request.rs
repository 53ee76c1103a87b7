//! A task as its caller describes it: the JSON that becomes the workflow's encrypted input.

mod environment;
mod error;
mod input;
mod limits;
mod model;
mod parse;
mod validate;

pub use error::RequestError;
pub use input::TaskInput;
pub use limits::MAX_REQUEST_BYTES;
pub(crate) use limits::{DEFAULT_MAX_TURNS, DEFAULT_TIMEOUT_MINUTES, MAX_MINUTES, MAX_TURNS};
pub use model::{Credential, PermissionMode, TaskRequest};

#[cfg(test)]
mod tests;
