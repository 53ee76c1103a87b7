//! `fake-cloud-kms`: the server as a program.

use std::{io, net::SocketAddr, path::PathBuf};

use clap::Parser;
use fake_cloud_kms::{Emulator, Fault, Options};
use tokio::signal::unix::{SignalKind, signal};

/// A small local Cloud KMS for tests. It authenticates nobody and protects no key.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen, on loopback; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Keep all keys in this file, in the clear.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Misbehave from the start: KIND[=VALUE][*TIMES][@METHOD,METHOD…], such as status=503*2@Encrypt. KIND is latency=250ms,
    /// status=N, deny, service-disabled, request-damaged, unverified, wrong-crc, wrong-name, garbage, truncated or dead.
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let emulator = Emulator::start(Options {
        listen: args.listen,
        state: args.state,
        faults: args.faults,
    })
    .await?;
    println!("listening on {}", emulator.url());
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
