//! Why a request of a task is not forwarded.

use http::StatusCode;
use thiserror::Error;

/// Why a request is not forwarded. The texts are for the task. They name only what the task has sent.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A proxy cannot forward it.
    #[error("{0}")]
    Request(&'static str),
    /// The operator does not permit the port.
    #[error(
        "tasks must not reach port {port}. They reach the ports {permitted}. The operator can permit more with \
         --task-network-port or CLAUDE_TASKS_NETWORK_PORTS"
    )]
    Port {
        /// The port.
        port: u16,
        /// The ports that are permitted.
        permitted: String,
    },
    /// An address of the host is not public.
    #[error(
        "tasks must not reach {host}: its address is not public. The operator can permit it with --task-network-allow or \
         CLAUDE_TASKS_NETWORK_ALLOW"
    )]
    NotPublic {
        /// The host.
        host: String,
    },
    /// An address of the host is one of the worker's machine.
    #[error(
        "tasks must not reach {host}: its address is one of the worker's machine. The operator can permit it with \
         --task-network-allow or CLAUDE_TASKS_NETWORK_ALLOW"
    )]
    OfMachine {
        /// The host.
        host: String,
    },
    /// The worker's settings close it.
    #[error("tasks must not reach {host}:{port}: it is closed to them")]
    Closed {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The name has no address.
    #[error("the name {host} cannot be resolved")]
    Name {
        /// The host.
        host: String,
    },
    /// The addresses of a closed place are not known now.
    #[error("the worker cannot check the address of {host} now. Try again")]
    Unchecked {
        /// The host.
        host: String,
    },
    /// No address takes the connection.
    #[error("{host} does not take connections at port {port}")]
    Unreachable {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The lookup or the connection took too long.
    #[error("{host} did not answer in time at port {port}")]
    Late {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The server did not answer with HTTP.
    #[error("{host} closed the connection, or did not answer with HTTP")]
    Broken {
        /// The host.
        host: String,
    },
}

impl Refusal {
    /// The status of the answer.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Request(_) => StatusCode::BAD_REQUEST,
            Self::Port { .. }
            | Self::NotPublic { .. }
            | Self::OfMachine { .. }
            | Self::Closed { .. } => StatusCode::FORBIDDEN,
            Self::Name { .. }
            | Self::Unchecked { .. }
            | Self::Unreachable { .. }
            | Self::Broken { .. } => StatusCode::BAD_GATEWAY,
            Self::Late { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The policy's reason for the worker's log. It holds no name, because the task chooses names. `None` for a request that
    /// is permitted and did not work.
    pub(super) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Port { .. } => Some("the port is not permitted"),
            Self::NotPublic { .. } => Some("the address is not public"),
            Self::OfMachine { .. } => Some("the address is one of this machine"),
            Self::Closed { .. } => Some("the place is closed to tasks"),
            Self::Request(_)
            | Self::Name { .. }
            | Self::Unchecked { .. }
            | Self::Unreachable { .. }
            | Self::Late { .. }
            | Self::Broken { .. } => None,
        }
    }
}
