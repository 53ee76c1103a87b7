//! The options of `worker` with the limits of a task.

use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;

use super::units;
use crate::{
    proxy::ProxyLimits,
    task::PermissionMode,
    worker::{Caps, OutputLimits},
};

/// Limits that hold for every task, also for one that asks for more.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits of a task")]
pub(super) struct LimitArgs {
    /// A tool that is denied to every task; may be given several times. A caller cannot allow it.
    #[arg(
        long = "deny-tool",
        env = "CLAUDE_TASKS_DENY_TOOLS",
        value_delimiter = ',',
        value_name = "TOOL"
    )]
    denied_tools: Vec<String>,
    /// The most permissive permission mode of a task. A task that asks for more gets this one, and its result says so.
    #[arg(long, env = "CLAUDE_TASKS_MAX_PERMISSION_MODE", value_name = "MODE")]
    max_permission_mode: Option<PermissionMode>,
    /// The longest time limit of a task, such as 2h. A task that asks for more gets this one, and its result says so.
    #[arg(
        long,
        env = "CLAUDE_TASKS_MAX_TIMEOUT",
        value_name = "TIME",
        value_parser = units::time
    )]
    max_timeout: Option<Duration>,
    /// The most turns of a task. A task that asks for more gets this many, and its result says so.
    #[arg(long, env = "CLAUDE_TASKS_MAX_TURNS_LIMIT", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_turns_limit: Option<u32>,
    /// How much a task may print, such as 512MiB. A task that prints more is stopped and fails.
    #[arg(
        long,
        env = "CLAUDE_TASKS_MAX_OUTPUT",
        default_value = "512MiB",
        value_name = "SIZE",
        value_parser = units::size
    )]
    max_output: ByteSize,
    /// How many events (lines) a task may print. A task that prints more is stopped and fails.
    #[arg(
        long,
        env = "CLAUDE_TASKS_MAX_EVENTS",
        default_value_t = 200_000,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=1_000_000_000)
    )]
    max_events: u64,
    /// A model that tasks may use, such as `claude-sonnet-5-5` or `claude-sonnet-*`; may be given several times. Without it,
    /// all models.
    #[arg(
        long = "allowed-model",
        env = "CLAUDE_TASKS_ALLOWED_MODELS",
        value_delimiter = ',',
        value_name = "MODEL"
    )]
    allowed_models: Vec<String>,
    /// How many tokens a task may use, of all kinds together. The call that goes above it is the last.
    #[arg(long, env = "CLAUDE_TASKS_MAX_TOKENS", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_tokens: Option<u64>,
    /// How often a task may call the API.
    #[arg(long, env = "CLAUDE_TASKS_MAX_CALLS", default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_calls: u64,
}

impl LimitArgs {
    /// What a task may ask for.
    pub(super) fn caps(&self) -> Caps {
        Caps {
            denied_tools: self.denied_tools.clone(),
            permission_mode: self.max_permission_mode,
            minutes: self.max_timeout.map(whole_minutes),
            turns: self.max_turns_limit,
        }
    }

    /// How much a task may print.
    pub(super) fn output(&self) -> OutputLimits {
        OutputLimits {
            lines: self.max_events,
            bytes: self.max_output.as_u64(),
            ..OutputLimits::default()
        }
    }

    /// How much of the API a task may use.
    pub(super) fn api(&self) -> ProxyLimits {
        ProxyLimits {
            calls: self.max_calls,
            tokens: self.max_tokens,
            models: self.allowed_models.clone(),
            ..ProxyLimits::default()
        }
    }
}

/// A time as whole minutes, at least one. Time limits of requests are whole minutes.
fn whole_minutes(time: Duration) -> u32 {
    u32::try_from(time.as_secs() / 60)
        .unwrap_or(u32::MAX)
        .max(1)
}
