//! The proxies of a task, each on a Unix socket of the worker.
//!
//! The credential proxy: Claude Code talks to a Unix socket of the worker with a random token, and the proxy calls
//! the API with the caller's credential. So the task cannot read the credential: no variable, file, argument or process of
//! the task has it. The proxy forwards only calls that Claude Code needs, within the operator's limits, and ends with the
//! task.
//!
//! The egress proxy: the way to the Internet of a task that has no network of its own.

mod answer;
mod body;
mod budget;
mod egress;
mod forward;
mod headers;
mod listen;
mod route;
mod server;
mod socket;
#[cfg(test)]
mod tests;
mod token;
mod upstream;
mod usage;

pub(crate) use budget::ProxyLimits;
pub(crate) use egress::{ClosedPlace, EgressPolicy, EgressProxy, EgressSettings};
pub(crate) use server::Proxy;
pub(crate) use socket::{check, sweep};
pub(crate) use upstream::{Upstream, UpstreamError};
