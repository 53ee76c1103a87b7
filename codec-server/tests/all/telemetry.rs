//! Metrics, traces and logs of a running server.

mod logs;
mod metrics;
mod traces;
