//! The limits and defaults of a request.

/// The largest request, in bytes of JSON. Temporal refuses payloads above 2 MiB.
pub const MAX_REQUEST_BYTES: usize = 2_000_000;

/// The turns of a request without `maxTurns`.
pub(crate) const DEFAULT_MAX_TURNS: u32 = 6;
pub(crate) const MAX_TURNS: u32 = 1000;
/// The time limit of a request without `timeoutMinutes`, in minutes.
pub(crate) const DEFAULT_TIMEOUT_MINUTES: u32 = 55;
/// A day. Replays of the workflow depend on this number: never lower it.
pub(crate) const MAX_MINUTES: u32 = 1440;

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
