//! What every program of this project needs, so that they behave alike.
//!
//! For all programs:
//! - [`arguments`] reads the command line and the environment. An empty variable counts as unset.
//! - [`dotenv`] reads the file `.env`, and [`steps`] tells what each step of a set-up has done.
//! - [`env_origin`] says which `.env` file has set what an error is about.
//! - [`exit`] has the exit codes, which follow `sysexits.h`, and how a command says that it failed.
//! - [`lifecycle`] runs a process, tells it to stop, and knows whether it is ready.
//! - [`local_key`] says where the key for development is, and [`missing_key`] what to do where a key does not exist.
//! - [`log`] starts the log.
//! - [`memory`] keeps secrets out of core dumps, and [`panics`] out of what a panic says.
//! - [`temporal`] reads Temporal's address, and says why Temporal cannot be called.
//! - [`terminal`] makes text from outside safe to print.
//! - [`units`] reads times and sizes; [`deadline`] computes times to wait until.
//!
//! For servers:
//! - [`auth`] finds out who calls, and what a caller may do.
//! - [`settings`] reads a configuration file with the environment over it, and reports every mistake at once.
//! - [`keys`] reads how key services are reached.
//! - [`namespaces`] has a codec for each namespace.
//! - [`audit`] opens the audit log and writes the lines of requests, which have ids of [`request_id`].
//! - [`watch`] sees that files have changed, and [`reload_report`] tells how a reload went.
//! - [`telemetry`] has metrics for Prometheus, and traces and metrics by OTLP.
//! - [`listener`] accepts connections within a limit, [`tls`] makes them secure, and [`connection`] serves HTTP on them.
//! - [`body`] reads the body of a refused request, so that its client sees the answer.
//! - [`shares`] limits what one caller or one namespace takes of a server.
//! - [`admin`] answers health, readiness and metrics.

pub mod admin;
pub mod arguments;
pub mod audit;
pub mod auth;
pub mod body;
pub mod connection;
pub mod deadline;
pub mod dotenv;
pub mod env_origin;
pub mod exit;
pub mod keys;
pub mod lifecycle;
pub mod listener;
pub mod local_key;
pub mod log;
pub mod memory;
pub mod missing_key;
pub mod namespaces;
pub mod open_files;
pub mod panics;
pub mod reload_report;
pub mod request_id;
pub mod settings;
pub mod shares;
pub mod steps;
pub mod telemetry;
pub mod temporal;
pub mod terminal;
pub mod tls;
pub mod units;
pub mod watch;
