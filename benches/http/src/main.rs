//! Serves the codec server's handler of requests behind one of several layers. `cargo xtask bench layers` measures what each
//! of them costs. `cargo xtask bench polls` measures how long requests hold a thread.

mod bare;
mod bodies;
mod polls;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use temporal_kms_codec::kms::local::LocalKeyring;
use temporal_kms_codec_server::{CancellationToken, Server, bench::Handler, config::LoadedConfig};
use temporal_kms_codec_service::{
    log::{self, LogFormat},
    memory,
    telemetry::{Metrics, Program},
};
use tokio::runtime::Runtime;

const PROGRAM: Program = Program::codec_server(env!("CARGO_PKG_VERSION"));

#[derive(Parser)]
struct Arguments {
    /// What is between the network and the handler
    #[arg(value_enum)]
    layers: Layers,
    /// Folder for the key and the configuration
    folder: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Layers {
    /// The HTTP library only
    Bare,
    /// The HTTP library, and the router and the CORS layer
    Routed,
    /// The codec server as it is
    Served,
    /// No network: prints how long hostile bodies hold a thread
    Polls,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // As the codec server does it.
    log::init(LogFormat::default(), "info");
    memory::reuse_large_blocks();
    Runtime::new()?.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = configuration(&arguments.folder)?;
    let server = Server::bind(config, Metrics::new(PROGRAM)).await?;
    match arguments.layers {
        Layers::Served => {
            println!("listening on {}", server.url());
            server.run(CancellationToken::new(), None).await;
            Ok(())
        }
        Layers::Polls => polls::measure(&Handler::of(&server)).await,
        layers => bare::serve(Handler::of(&server), layers == Layers::Routed).await,
    }
}

/// A server with a new local key and three namespaces: one with defaults, one that compresses as much as it can, and one that
/// decompresses what other codecs wrote.
fn configuration(folder: &Path) -> anyhow::Result<LoadedConfig> {
    let (keyring, file) = (folder.join("keyring"), folder.join("codec.toml"));
    LocalKeyring::open(&keyring).key_or_create("default")?;
    let keyring = keyring.to_str().context("the folder's name is not text")?;
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n\
         [keys]\nlocal_keyring = {keyring:?}\n\
         [namespaces.default]\nencrypt = [\"local://default\"]\n\
         [namespaces.compressing]\nencrypt = [\"local://default\"]\n\
         compression = \"zstd\"\ncompression_level = 19\n\
         [namespaces.decompressing]\nencrypt = [\"local://default\"]\n\
         decrypt_formats = [\"envelope\", \"gzip\"]\non_undecodable = \"placeholder\"\n"
    );
    fs::write(&file, text)?;
    Ok(LoadedConfig::from_file(&file)?)
}
