//! Measures the speed of this project, as tables for people or as JSON. Benchmarks are not tests: nothing fails because a
//! machine is busy.
//!
//! Every ratio is of one run. Rounds are interleaved, and medians are shown.

mod chart;
mod compare;
pub(crate) mod figures;
mod guards;
mod layers;
mod library;
mod load;
mod peers;
mod server;
mod start;
pub(crate) mod table;

use std::path::PathBuf;

use anyhow::ensure;
use clap::ValueEnum;
use dev_servers::{TemporalOptions, TemporalServer};
use serde_json::{Map, Value};

use crate::{interrupt::Interrupts, step, tools, workspace::Workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which benchmarks; without any name all of them
    #[arg(value_name = "NAME")]
    names: Vec<Benchmark>,
    /// Print one JSON document in the last line, and no tables
    #[arg(long)]
    json: bool,
    /// Rounds of the benchmarks that compare servers
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    rounds: usize,
    /// Seconds of load for each case and round
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    seconds: u64,
    /// Measure this codec server; without it, one is built with optimisation
    #[arg(long, value_name = "FILE")]
    codec_server: Option<PathBuf>,
    /// Measure against these peers only
    #[arg(long, value_name = "PEER", value_delimiter = ',')]
    peers: Option<Vec<peers::Peer>>,
    /// Leave out the SDK's own codec and the worker: the SDK takes long to build
    #[arg(long)]
    without_sdk: bool,
    /// Write the charts of the book to docs/images
    #[arg(long)]
    charts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// The codec server beside servers made of other SDKs
    Server,
    /// The codec server beside its handler behind the HTTP library alone, and behind axum's router
    Layers,
    /// The codec server with authentication and with the audit log, beside the same one without
    Guards,
    /// Encoding and decoding in a process, beside the raw AEAD
    InProcess,
    /// The calls of a key service for a million payloads
    Economy,
    /// Costs over sizes and counts
    Scaling,
    /// How long a request with a hostile body holds a thread
    Polls,
    /// Start and idle memory of both programs
    Start,
    /// Workflows per second of a worker with and without the codec, on a Temporal server
    Worker,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let chosen = match arguments.names.as_slice() {
        [] => Benchmark::value_variants(),
        names => names,
    };
    let interrupts = Interrupts::watch()?;
    let mut document = Map::new();
    for benchmark in chosen {
        let needs_sdk = *benchmark == Benchmark::Worker;
        if needs_sdk && arguments.without_sdk {
            step::note("worker: left out, because it needs the SDK");
            continue;
        }
        let measured = measure(workspace, arguments, *benchmark);
        // Numbers of servers that were ended say nothing.
        ensure!(!interrupts.came(), "the benchmark was interrupted");
        let (name, numbers) = measured?;
        if !arguments.json {
            table::print(name, &numbers);
        }
        if arguments.charts {
            chart::write(workspace, name, &numbers)?;
        }
        document.insert(name.to_owned(), numbers);
    }
    if arguments.json {
        println!("{}", Value::Object(document));
    }
    Ok(())
}

fn measure(
    workspace: &Workspace,
    arguments: &Arguments,
    benchmark: Benchmark,
) -> anyhow::Result<(&'static str, Value)> {
    let program = || match &arguments.codec_server {
        Some(program) => Ok(program.clone()),
        None => build_server(workspace),
    };
    match benchmark {
        Benchmark::Server => {
            let peers = arguments.peers.as_deref();
            let peers = peers.unwrap_or(peers::Peer::value_variants());
            let rows = server::measure(workspace, &program()?, peers, arguments)?;
            Ok(("server", serde_json::to_value(rows)?))
        }
        Benchmark::Layers => {
            let rows = layers::measure(workspace, arguments)?;
            Ok(("layers", serde_json::to_value(rows)?))
        }
        Benchmark::Guards => {
            let rows = guards::measure(workspace, &program()?, arguments)?;
            Ok(("guards", serde_json::to_value(rows)?))
        }
        Benchmark::Start => {
            let sdk = !arguments.without_sdk;
            let rows = start::measure(workspace, &program()?, sdk)?;
            Ok(("start", serde_json::to_value(rows)?))
        }
        Benchmark::InProcess => library(workspace, arguments, "in-process"),
        Benchmark::Economy => library(workspace, arguments, "economy"),
        Benchmark::Scaling => library(workspace, arguments, "scaling"),
        Benchmark::Polls => Ok(("polls", layers::polls(workspace)?)),
        Benchmark::Worker => {
            let temporal = tools::provide(workspace, &tools::TEMPORAL)?;
            let server = TemporalServer::start(&temporal, &TemporalOptions::default())?;
            let numbers = library::measure(workspace, &["worker", &server.url()], true)?;
            Ok(("worker", numbers))
        }
    }
}

fn library(
    workspace: &Workspace,
    arguments: &Arguments,
    name: &'static str,
) -> anyhow::Result<(&'static str, Value)> {
    // Only the first one needs the SDK, but a program of its own would be built twice.
    Ok((
        name,
        library::measure(workspace, &[name], !arguments.without_sdk)?,
    ))
}

/// Builds the codec server with optimisation, and returns where it is.
pub(crate) fn build_server(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    build(workspace, "temporal-kms-codec-server", "codec-server")
}

/// Builds a program with optimisation.
fn build(workspace: &Workspace, package: &str, program: &str) -> anyhow::Result<PathBuf> {
    let mut build = workspace.cargo();
    build.args(["build", "--release", "--package", package]);
    step::quietly(&format!("Building {program} with optimisation"), build)?;
    Ok(workspace.target().join("release").join(program))
}
