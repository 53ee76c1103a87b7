//! `fake-oidc`: the issuer as a program.

use std::{io, net::SocketAddr};

use clap::Parser;
use fake_oidc::{Client, Options, Server};
use tokio::signal::unix::{SignalKind, signal};

/// A small OIDC issuer for tests. Each user who asks is signed in.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The path of the issuer, such as /realms/test.
    #[arg(long, default_value = "")]
    path: String,
    /// The id of the client that signs users in.
    #[arg(long, default_value = "codec")]
    client_id: String,
    /// The client's secret.
    #[arg(long)]
    client_secret: Option<String>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let options = Options {
        path: args.path,
        client: Client {
            id: args.client_id,
            secret: args.client_secret,
        },
        ..Options::default()
    };
    let server = Server::start(args.listen, options).await?;
    println!("listening on {}", server.issuer());
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    server.stop().await;
    Ok(())
}
