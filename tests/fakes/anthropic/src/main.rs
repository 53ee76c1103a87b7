//! `fake-anthropic`: the server as a program.

use clap::Parser;
use fake_anthropic::{Options, Server};
use std::{io, net::SocketAddr};
use tokio::signal::unix::{SignalKind, signal};

/// A small local Anthropic Messages API for tests and the demo.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Accept only the credential with this SHA-256 (hexadecimal); answer 401 to any other.
    #[arg(long, value_name = "HEX")]
    accept_sha256: Option<String>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let server = Server::start(
        args.listen,
        Options {
            accept_sha256: args.accept_sha256,
        },
    )
    .await?;
    println!("listening on {}", server.url());
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    server.stop().await
}
