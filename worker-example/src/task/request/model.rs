//! A task as its caller describes it: the JSON that becomes the workflow's encrypted input.

mod environment;
mod error;
mod input;
mod validate;

pub use error::RequestError;
pub use input::TaskInput;
pub(crate) use validate::{MAX_MINUTES, MAX_TURNS};

use crate::{secret::Secret, task_id::TaskId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt, time::Duration};

/// The most that a request may be, in bytes of JSON. Temporal itself refuses payloads above 2 MiB.
pub const MAX_REQUEST_BYTES: usize = 2_000_000;

/// The turns of a task that names none.
pub(crate) const DEFAULT_MAX_TURNS: u32 = 6;
/// The minutes of a task that names none.
pub(crate) const DEFAULT_TIMEOUT_MINUTES: u32 = 55;

/// Fields of the task API that a later version implements. Ignoring one would run another task than
/// the caller asked for.
const NOT_YET: [&str; 11] = [
    "callbackUrl",
    "cwdRelative",
    "gitBranch",
    "gitDepth",
    "gitRepo",
    "mcpConfig",
    "postExecutionActions",
    "preExecutionCommands",
    "slashCommands",
    "sshKey",
    "subagents",
];

/// What Claude is to do, and with what. Made by [`TaskRequest::from_json`] or
/// [`TaskRequest::from_value`], which check it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct TaskRequest {
    /// The task that this request is for. [`TaskInput::new`] sets it; a copy of the request cannot run as another task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// What Claude is to do. Goes to the CLI by stdin.
    pub prompt: Secret,
    /// The caller's API key; this or the OAuth token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anthropic_api_key: Option<Secret>,
    /// The caller's OAuth token; this or the API key.
    #[serde(
        default,
        rename = "anthropicOAuthToken",
        skip_serializing_if = "Option::is_none"
    )]
    pub anthropic_oauth_token: Option<Secret>,
    /// Replaces the system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<Secret>,
    /// Extends the system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append_system_prompt: Option<Secret>,
    /// Tools allowed without asking; the worker's own default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Vec<String>>,
    /// Tools never allowed; the worker's own default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disallowed_tools: Option<Vec<String>>,
    /// What is allowed without asking; the worker's own default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<PermissionMode>,
    /// How many turns Claude may take.
    #[serde(default = "default_max_turns")]
    pub max_turns: u32,
    /// The model; the CLI's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The model to use when the first is overloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_model: Option<String>,
    /// Accepted for old callers; the prompt goes by stdin in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_named_pipe: Option<bool>,
    /// How long the CLI may run, in minutes.
    #[serde(default = "default_timeout_minutes")]
    pub timeout_minutes: u32,
    /// Environment of the task, also written to `.env` in its workspace.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment_secrets: BTreeMap<String, Secret>,
    /// Returned with the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

/// Claude Code's permission modes, from the strictest to the most permissive.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "camelCase")]
#[value(rename_all = "camelCase")]
#[non_exhaustive]
pub enum PermissionMode {
    /// Only plan.
    Plan,
    /// What may change something needs permission. Nobody is there to give it, so it is denied.
    Default,
    /// File changes in the workspace need no permission.
    AcceptEdits,
    /// Nothing needs permission.
    BypassPermissions,
}

impl PermissionMode {
    /// The CLI's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Default => "default",
            Self::AcceptEdits => "acceptEdits",
            Self::BypassPermissions => "bypassPermissions",
        }
    }
}

/// The caller's credential.
#[derive(Clone, Copy, Debug)]
pub enum Credential<'a> {
    /// Billed by use; `ANTHROPIC_API_KEY`.
    ApiKey(&'a Secret),
    /// A subscription's token; `CLAUDE_CODE_OAUTH_TOKEN`.
    OauthToken(&'a Secret),
}

impl<'a> Credential<'a> {
    /// The variable by which Claude Code takes it.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::ApiKey(_) => "ANTHROPIC_API_KEY",
            Self::OauthToken(_) => "CLAUDE_CODE_OAUTH_TOKEN",
        }
    }

    /// The credential.
    #[must_use]
    pub fn secret(self) -> &'a Secret {
        match self {
            Self::ApiKey(secret) | Self::OauthToken(secret) => secret,
        }
    }
}

impl TaskRequest {
    /// Reads and checks a request.
    ///
    /// # Errors
    /// When it is not a valid request; the error names the field and holds no value.
    pub fn from_json(json: &[u8]) -> Result<Self, RequestError> {
        if json.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLarge {
                limit: MAX_REQUEST_BYTES,
            });
        }
        let value = serde_json::from_slice(json).map_err(|e| RequestError::Json {
            line: e.line(),
            column: e.column(),
        })?;
        Self::from_value(value)
    }

    /// As [`TaskRequest::from_json`], from JSON that is parsed already.
    ///
    /// # Errors
    /// When it is not a valid request; the error names the field and holds no value.
    pub fn from_value(value: Value) -> Result<Self, RequestError> {
        let Value::Object(fields) = &value else {
            return Err(RequestError::NoObject);
        };
        if let Some(field) = NOT_YET.iter().find(|name| fields.contains_key(**name)) {
            return Err(RequestError::NotSupported { field });
        }
        // serde's own message quotes the offending value, which may be a secret in the wrong place.
        let request: Self = serde_path_to_error::deserialize(value)
            .map_err(|e| error::at(&e.path().to_string(), &e.inner().to_string()))?;
        request.validate()?;
        Ok(request)
    }

    /// The credential that came with it.
    #[must_use]
    pub fn credential(&self) -> Option<Credential<'_>> {
        match (&self.anthropic_api_key, &self.anthropic_oauth_token) {
            (Some(key), _) => Some(Credential::ApiKey(key)),
            (None, Some(token)) => Some(Credential::OauthToken(token)),
            (None, None) => None,
        }
    }

    /// How long the CLI may run.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_minutes) * 60)
    }
}

/// Only the shape; prompts, values and metadata are the caller's.
impl fmt::Debug for TaskRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskRequest")
            .field("credential", &self.credential().map(Credential::variable))
            .field("model", &self.model)
            .field("permission_mode", &self.permission_mode)
            .field("max_turns", &self.max_turns)
            .field("timeout_minutes", &self.timeout_minutes)
            .finish_non_exhaustive()
    }
}

fn default_max_turns() -> u32 {
    DEFAULT_MAX_TURNS
}

fn default_timeout_minutes() -> u32 {
    DEFAULT_TIMEOUT_MINUTES
}

#[cfg(test)]
mod tests;
