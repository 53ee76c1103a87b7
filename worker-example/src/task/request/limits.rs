//! The limits and defaults of a request.

/// The largest request, in bytes of JSON: 2 MiB. Without a store, a request travels in one payload. Temporal refuses payloads
/// above 2 MiB, so encryption leaves a little less for the request then.
pub const MAX_REQUEST_BYTES: usize = 2 * 1024 * 1024;

/// The turns of a request without `maxTurns`.
pub(crate) const DEFAULT_MAX_TURNS: u32 = 6;
/// The most turns of a task. A worker lowers larger numbers.
pub(crate) const MAX_TURNS: u32 = 1000;
/// The time limit of a request without `timeoutMinutes`, in minutes.
pub(crate) const DEFAULT_TIMEOUT_MINUTES: u32 = 55;
/// A day. Replays of the workflow depend on this number: never lower it.
pub(crate) const MAX_MINUTES: u32 = 1440;

/// The branch of a request that names none.
pub(super) const DEFAULT_BRANCH: &str = "main";
/// The longest credential, in bytes.
pub(super) const MAX_CREDENTIAL: usize = 8192;
/// The most tools in a list.
pub(super) const MAX_TOOLS: usize = 256;
/// The longest name of a tool, in bytes.
pub(super) const MAX_TOOL: usize = 1024;
/// The longest name of a model, in bytes.
pub(super) const MAX_MODEL: usize = 200;
/// The most variables in `environmentSecrets`.
pub(super) const MAX_VARIABLES: usize = 256;
/// The longest name of a variable, in bytes.
pub(super) const MAX_VARIABLE_NAME: usize = 128;
/// The longest value of a variable, in bytes. The kernel takes at most 128 KiB for one variable with its name.
pub(super) const MAX_VARIABLE: usize = 96 * 1024;
/// The most bytes of all variables. The kernel takes a quarter of the stack limit, which is usually 8 MiB.
pub(super) const MAX_ENVIRONMENT: usize = 1024 * 1024;
/// The most bytes of `metadata` as JSON.
pub(super) const MAX_METADATA: usize = 64 * 1024;

/// The most characters of `gitRepo` and `callbackUrl`.
pub(super) const MAX_URL: usize = 2048;
/// The longest name of a branch, in bytes.
pub(super) const MAX_BRANCH: usize = 255;
/// The most commits that `gitDepth` asks for: git's number for all of them.
pub(super) const MAX_DEPTH: u32 = 2_147_483_647;
/// The longest SSH key, in bytes.
pub(super) const MAX_SSH_KEY: usize = 32 * 1024;
/// The most commands in `preExecutionCommands`.
pub(super) const MAX_COMMANDS: usize = 64;
/// The longest command, in bytes. The kernel takes at most 128 KiB for one argument.
pub(super) const MAX_COMMAND: usize = 64 * 1024;
/// The most bytes of `mcpConfig` as JSON.
pub(super) const MAX_MCP_CONFIG: usize = 256 * 1024;
/// How deeply `mcpConfig`, `metadata` and front matter may be nested.
pub(super) const MAX_DEPTH_OF_JSON: usize = 32;
/// The most slash commands, and the most subagents.
pub(super) const MAX_DEFINITIONS: usize = 128;
/// The longest name of a slash command or a subagent.
pub(super) const MAX_DEFINITION_NAME: usize = 64;
/// The longest text of a slash command or a subagent, in bytes.
pub(super) const MAX_DEFINITION: usize = 256 * 1024;
/// The most patterns in a list of files.
pub(super) const MAX_PATTERNS: usize = 100;
/// The longest path or pattern, in bytes.
pub(super) const MAX_PATH: usize = 1024;
/// The longest commit message, in bytes.
pub(super) const MAX_COMMIT_MESSAGE: usize = 32 * 1024;
/// The most unknown fields that are told to the caller.
pub(super) const MAX_UNKNOWN: usize = 32;
