//! `fake-oidc`: the issuer as a program.

use std::{io, net::SocketAddr};

use clap::Parser;
use fake_oidc::{Client, Options, Server};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

/// A small OIDC issuer for tests and trials. It asks for no password: each user who asks is signed in. Never use it to
/// protect anything.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The path of the issuer, such as /realms/test.
    #[arg(long, default_value = "")]
    path: String,
    /// A client that signs users in with PKCE: its id, or its id and its secret. Repeatable.
    #[arg(long, value_name = "ID[:SECRET]", value_parser = client)]
    client: Vec<Client>,
    /// A client that does not use PKCE, such as Temporal's Web UI. Repeatable.
    #[arg(long, value_name = "ID:SECRET", value_parser = client)]
    web_ui: Vec<Client>,
    /// The audience of access tokens. Without it, access tokens are opaque.
    #[arg(long, value_name = "NAME")]
    access_token_audience: Option<String>,
    /// The claims of the user that is signed in, as JSON.
    #[arg(long, value_name = "JSON", value_parser = claims)]
    user: Option<Value>,
}

fn client(text: &str) -> Result<Client, String> {
    match text.split_once(':') {
        Some(("", _)) => Err("write the client's id before the colon".to_owned()),
        Some((id, secret)) => Ok(Client::new(id).with_secret(secret)),
        None => Ok(Client::new(text)),
    }
}

fn claims(text: &str) -> Result<Value, String> {
    match text.parse() {
        Ok(claims @ Value::Object(_)) => Ok(claims),
        Ok(_) => Err("expected an object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Args {
    fn options(self) -> Options {
        let default = Options::default();
        let mut clients = self.client;
        clients.extend(self.web_ui.into_iter().map(Client::without_pkce));
        Options {
            path: self.path,
            clients: if clients.is_empty() {
                default.clients
            } else {
                clients
            },
            user: self.user.unwrap_or(default.user),
            access_token_audience: self.access_token_audience,
            issuer: default.issuer,
            tls: default.tls,
        }
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let listen = args.listen;
    let server = Server::start(listen, args.options()).await?;
    println!("listening on {}", server.issuer());
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    server.stop().await;
    Ok(())
}
