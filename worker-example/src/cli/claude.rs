//! The options of `worker` about Claude Code.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum as _};
use temporal_kms_codec::endpoint;
use temporal_kms_codec_service::arguments::variable;
use url::Url;

use super::{exit::CommandError, input::InputError, units};
use crate::{
    task::PermissionMode,
    worker::{Caps, ClaudeConfig},
};

/// A variable of the original service.
///
/// | variable | meaning |
/// |---|---|
/// | `PERMISSION_MODE` | as `CLAUDE_TASKS_PERMISSION_MODE`, which wins |
const PERMISSION_MODE: &str = "PERMISSION_MODE";

/// How the worker runs Claude Code.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Claude Code")]
pub(super) struct ClaudeArgs {
    /// The Claude Code program: a name on the PATH, or a path.
    #[arg(
        long,
        env = "CLAUDE_TASKS_CLAUDE",
        default_value = "claude",
        value_name = "PATH"
    )]
    claude: PathBuf,
    /// The URL of the API, if it is not Anthropic's. Only the worker calls it, with the caller's credential, so it must be
    /// https://, or http:// on this machine.
    #[arg(long, env = "ANTHROPIC_BASE_URL", value_name = "URL", value_parser = base_url)]
    pub anthropic_base_url: Option<Url>,
    /// How often Claude Code repeats a failed API call, even after a wrong API key. The pauses grow: ten repetitions take
    /// three minutes.
    #[arg(
        long,
        env = "CLAUDE_TASKS_API_RETRIES",
        default_value_t = 2,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(..=100)
    )]
    api_retries: u32,
    /// The permission mode of tasks that name none.
    #[arg(long, env = "CLAUDE_TASKS_PERMISSION_MODE")]
    permission_mode: Option<PermissionMode>,
    /// A tool that tasks may use without permission, if they name none; may be given several times.
    #[arg(
        long = "allowed-tool",
        env = "CLAUDE_TASKS_ALLOWED_TOOLS",
        value_delimiter = ',',
        value_name = "TOOL"
    )]
    allowed_tools: Vec<String>,
    /// A tool that is denied to tasks that name none; may be given several times.
    #[arg(
        long = "disallowed-tool",
        env = "CLAUDE_TASKS_DISALLOWED_TOOLS",
        value_delimiter = ',',
        value_name = "TOOL"
    )]
    disallowed_tools: Vec<String>,
    /// A variable of the worker that tasks get, too, such as `HTTPS_PROXY`; may be given several times.
    #[arg(
        long,
        env = "CLAUDE_TASKS_PASS_ENV",
        value_delimiter = ',',
        value_name = "NAME",
        value_parser = variable_name
    )]
    pass_env: Vec<String>,
    /// How long Claude Code may run after its result, such as 30s. It waits for commands that it started in the background,
    /// and takes another turn when one ends. After this time the task ends with the result that it has.
    #[arg(
        long,
        env = "CLAUDE_TASKS_LINGER_TIME",
        default_value = "30s",
        value_name = "TIME",
        value_parser = units::pause
    )]
    pub linger_time: Duration,
}

impl ClaudeArgs {
    /// The settings of Claude Code, with the limits of all tasks.
    ///
    /// # Errors
    /// When Claude Code cannot be found, or a variable has no valid value.
    pub(super) fn config(self, caps: Caps) -> Result<ClaudeConfig, CommandError> {
        let mut claude = ClaudeConfig::find(&self.claude)?;
        claude.pass_env = self.pass_env;
        claude.api_retries = Some(self.api_retries);
        claude.permission_mode = match self.permission_mode {
            Some(mode) => Some(mode),
            None => permission_mode()?,
        };
        claude.allowed_tools = self.allowed_tools;
        claude.disallowed_tools = self.disallowed_tools;
        claude.caps = caps;
        Ok(claude)
    }
}

/// The permission mode by the variable of the original service.
fn permission_mode() -> Result<Option<PermissionMode>, CommandError> {
    let Some(name) = variable(PERMISSION_MODE) else {
        return Ok(None);
    };
    let mode = PermissionMode::from_str(&name, false).map_err(|_| InputError::Option {
        name: PERMISSION_MODE,
        problem: "must be plan, default, acceptEdits or bypassPermissions".to_owned(),
    })?;
    Ok(Some(mode))
}

/// The URL of the API, which receives credentials. A URL that would send them unencrypted is refused.
fn base_url(text: &str) -> Result<Url, String> {
    let url: Url = text
        .parse()
        .map_err(|_| "expected a URL such as https://HOST or https://HOST:PORT/PATH".to_owned())?;
    let origin = url.origin();
    if !origin.is_tuple() {
        return Err("expected a URL such as https://HOST or https://HOST:PORT/PATH".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not hold a user name or a password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it must not have a query or a fragment".to_owned());
    }
    endpoint::check(&origin.ascii_serialization())
        .map_err(|reason| format!("{reason}; use https://HOST"))?;
    Ok(url)
}

fn variable_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("expected the name of a variable, without its value".to_owned());
    }
    Ok(name.to_owned())
}
