//! The client library: it submits tasks, follows them as a stream of events, reads their results, and cancels them. It
//! prints nothing.

mod chain;
mod connect;
mod connect_error;
mod error;
mod follow;
mod heartbeats;
mod honest_event;
mod list;
mod look;
mod namespace;
mod options;
mod owner;
mod progress;
mod queue;
mod remote;
mod stage;
mod status;
mod target;
mod task;
mod task_client;
mod task_end;
mod undelivered;
mod webhook_state;

pub(crate) use chain::error_chain;
pub use connect_error::ConnectError;
pub use error::ClientError;
pub use follow::TaskEvent;
pub(crate) use honest_event::one_line;
pub(crate) use look::Look;
pub use options::{ConnectOptions, KeyUse, SubmitOptions};
pub(crate) use owner::Owner;
pub use progress::TaskProgress;
pub(crate) use queue::{is_polled_by, no_worker, start_worker};
pub(crate) use remote::{RemoteClient, RemoteTask};
pub use stage::Stage;
pub use status::TaskStatus;
pub use task::{Cancellation, Task};
pub use task_client::TaskClient;
pub use task_end::{EndKind, TaskEnd};
pub use temporal_kms_codec_service::temporal::{
    Address, AddressError, ConnectionError, MissingNamespace,
};
pub(crate) use undelivered::Undelivered;
