//! The fields of a request.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    actions::{PostExecutionActions, PromptFile},
    error::quoted,
    limits::{DEFAULT_BRANCH, DEFAULT_MAX_TURNS, DEFAULT_TIMEOUT_MINUTES, MAX_UNKNOWN},
};
use crate::task::{id::TaskId, secret::Secret, secret_json::SecretJson};

/// What Claude should do, and with which credential and settings. [`TaskRequest::from_json`] and
/// [`TaskRequest::from_value`] make it and check it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskRequest {
    /// The task that this request belongs to. [`TaskInput::new`](super::input::TaskInput::new) sets it, so that a copy of
    /// the request cannot run as another task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// What Claude should do. Claude Code reads it from standard input.
    pub prompt: Secret,
    /// The caller's API key. It counts if a request has an OAuth token, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anthropic_api_key: Option<Secret>,
    /// The caller's OAuth token. A request that was read has either this or the API key.
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
    /// Tools that need no permission. Without it, the worker's default applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Vec<String>>,
    /// Tools that are denied. Without it, the worker's default applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disallowed_tools: Option<Vec<String>>,
    /// What needs no permission. Without it, the worker's default applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<PermissionMode>,
    /// How many turns Claude may take.
    #[serde(default = "default_max_turns")]
    pub max_turns: u32,
    /// The model. Without it, Claude Code's default applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The model to use while the first one is overloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_model: Option<String>,
    /// The folder inside the workspace in which Claude Code runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd_relative: Option<String>,
    /// Accepted for older callers. The prompt is always sent on standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_named_pipe: Option<bool>,
    /// How long Claude Code may run, in minutes.
    #[serde(default = "default_timeout_minutes")]
    pub timeout_minutes: u32,
    /// The repository to clone into the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_repo: Option<String>,
    /// The branch to check out. [`git_branch`](Self::git_branch) has the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_branch: Option<String>,
    /// How many commits to fetch. [`git_depth`](Self::git_depth) has the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_depth: Option<u32>,
    /// The key of the repository. It ends with the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<Secret>,
    /// Shell commands to run after the clone, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pre_execution_commands: Vec<Secret>,
    /// Environment variables of the task. They are also written to `.env` in its workspace.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment_secrets: BTreeMap<String, Secret>,
    /// The MCP servers, written to `.mcp.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp_config: Option<SecretJson>,
    /// Commands, written to `.claude/commands/NAME.md`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slash_commands: BTreeMap<String, PromptFile>,
    /// Agents, written to `.claude/agents/NAME.md`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subagents: BTreeMap<String, PromptFile>,
    /// What to do after Claude Code succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_execution_actions: Option<PostExecutionActions>,
    /// Where the service reports the end of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// Returned with the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// The fields that the request had and that this version does not know, quoted.
    #[serde(skip)]
    pub unknown_fields: Vec<String>,
    /// Whether the request also had an OAuth token, beside the API key. The token was dropped when the request was read.
    #[serde(skip)]
    pub has_dropped_token: bool,
}

/// Claude Code's permission modes, from the strictest to the most permissive.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "camelCase")]
#[value(rename_all = "camelCase")]
#[non_exhaustive]
pub enum PermissionMode {
    /// Claude only plans and changes nothing.
    Plan,
    /// Changes need permission. Nobody can give it, so they are denied.
    Default,
    /// File changes in the workspace need no permission.
    AcceptEdits,
    /// Nothing needs permission.
    BypassPermissions,
}

impl PermissionMode {
    /// Claude Code's name of the mode.
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
#[non_exhaustive]
pub enum Credential<'a> {
    /// An API key, billed by use: `ANTHROPIC_API_KEY`.
    ApiKey(&'a Secret),
    /// The token of a subscription: `CLAUDE_CODE_OAUTH_TOKEN`.
    OauthToken(&'a Secret),
}

impl<'a> Credential<'a> {
    /// The environment variable from which Claude Code reads it.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::ApiKey(_) => "ANTHROPIC_API_KEY",
            Self::OauthToken(_) => "CLAUDE_CODE_OAUTH_TOKEN",
        }
    }

    /// The field of a request that holds it.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::ApiKey(_) => "anthropicApiKey",
            Self::OauthToken(_) => "anthropicOAuthToken",
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
    /// The credential of the request.
    #[must_use]
    pub fn credential(&self) -> Option<Credential<'_>> {
        match (&self.anthropic_api_key, &self.anthropic_oauth_token) {
            (Some(key), _) => Some(Credential::ApiKey(key)),
            (None, Some(token)) => Some(Credential::OauthToken(token)),
            (None, None) => None,
        }
    }

    /// The branch to check out.
    #[must_use]
    pub fn git_branch(&self) -> &str {
        self.git_branch.as_deref().unwrap_or(DEFAULT_BRANCH)
    }

    /// How many commits to fetch.
    #[must_use]
    pub fn git_depth(&self) -> u32 {
        self.git_depth.unwrap_or(1)
    }

    /// What the caller should know about the request: its unknown fields have no effect, and neither has a second credential.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let warning = |name: &String| format!("unknown field {name} has no effect");
        let second =
            "anthropicOAuthToken has no effect, because the request also has anthropicApiKey";
        let second = self.has_dropped_token.then(|| second.to_owned());
        let unknown = self.unknown_fields.iter().map(warning);
        unknown.chain(second).collect()
    }

    /// Keeps one credential, the API key. The other one is erased, so that nothing stores it.
    pub(super) fn drop_second_credential(&mut self) {
        if self.anthropic_api_key.is_some() && self.anthropic_oauth_token.take().is_some() {
            self.has_dropped_token = true;
        }
    }

    /// Notes an unknown field. Of many, only the first are told.
    pub(super) fn note_unknown(&mut self, name: &str) {
        let name = quoted(name);
        if self.unknown_fields.len() < MAX_UNKNOWN && !self.unknown_fields.contains(&name) {
            self.unknown_fields.push(name);
        }
    }

    /// How long Claude Code may run.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_minutes) * 60)
    }
}

/// Shows no prompt, no secret and no metadata: they belong to the caller.
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
