//! The settings of a worker.

use std::{path::PathBuf, time::Duration};

use url::Url;

use super::claude::{ClaudeConfig, OutputLimits};
use crate::{
    client::ConnectOptions,
    git::GitSettings,
    proxy::{EgressSettings, ProxyLimits},
    sandbox::SandboxSettings,
    webhook::Sender,
};

/// The settings of a worker.
#[derive(Clone, Debug)]
pub(crate) struct WorkerSettings {
    /// The connection to Temporal and the key.
    pub(crate) connection: ConnectOptions,
    /// How the worker reaches repositories.
    pub(crate) git: GitSettings,
    /// What sends webhooks.
    pub(crate) webhooks: Option<Sender>,
    /// How the worker runs Claude Code.
    pub(crate) claude: ClaudeConfig,
    /// The API's URL, if it is not Anthropic's.
    pub(crate) api_url: Option<Url>,
    /// How much of the API a task may use.
    pub(crate) api_limits: ProxyLimits,
    /// What the operator says about the sandbox.
    pub(crate) sandbox: SandboxSettings,
    /// Which servers tasks may reach, where their network is on.
    pub(crate) egress: EgressSettings,
    /// The folder of workspaces and logs.
    pub(crate) workdir: PathBuf,
    /// How many tasks run at the same time.
    pub(crate) max_tasks: u16,
    /// How much a task may print.
    pub(crate) limits: OutputLimits,
    /// How long running tasks may continue after the first signal.
    pub(crate) drain_time: Duration,
    /// How long Claude Code may run after its result without beginning another turn.
    pub(crate) linger_time: Duration,
    /// How long a stopped task may take to clean up.
    pub(crate) grace_time: Duration,
    /// The files with the public keys whose signatures are accepted. Without any, requests need no signature.
    pub(crate) request_keys: Vec<PathBuf>,
    /// How long a webhook is tried.
    pub(crate) webhook_age: Duration,
    /// How long logs are kept. `None` keeps them for ever.
    pub(crate) log_retention: Option<Duration>,
}
