//! `claude-tasks api` with a real Temporal server, and the clients of the original service.

mod audit;
mod clients;
mod document;
mod failures;
mod log_limits;
mod logs;
mod owners;
mod progress;
mod refusals;
mod reload;
mod sizes;
mod streams;
pub(crate) mod support;
mod tcp_proxy;
