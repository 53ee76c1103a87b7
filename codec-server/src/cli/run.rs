//! `dev` and `serve`.

use std::io::{StdoutLock, Write as _};

use temporal_kms_codec::kms::KmsOptions;
use tokio_util::sync::CancellationToken;

use super::{Dev, Serve, exit::Failure, keys};
use crate::{
    config::{Config, CorsConfig, NamespaceConfig, NamespacesConfig, ServerConfig},
    server::Server,
    shutdown,
};

pub(super) fn dev(options: Dev) -> Result<(), Failure> {
    let keyring = match options.keyring {
        Some(keyring) => keyring,
        None => keys::default_keyring()?,
    };
    let mut server = ServerConfig::on(options.listen);
    server.admin_listen = options.admin_listen;
    let mut namespace = NamespaceConfig::with_key(keys::default_key()?);
    namespace.on_undecodable = options.on_undecodable;
    run(Config {
        server,
        cors: CorsConfig::local(),
        keys: KmsOptions {
            local_keyring: Some(keyring),
            create_local_keys: true,
            ..KmsOptions::default()
        },
        namespaces: NamespacesConfig::Any(namespace),
    })
}

pub(super) fn serve(options: Serve) -> Result<(), Failure> {
    run(match options.config {
        Some(file) => Config::load(&file)?,
        None => Config::from_environment()?,
    })
}

fn run(config: Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::io("the runtime cannot be started", &error))?;
    runtime.block_on(async {
        // From here on, a signal is a request to stop, even before the server serves.
        let signalled = shutdown::Signals::listen()
            .map_err(|error| Failure::io("signals cannot be received", &error))?;
        let server = Server::bind(config).await?;
        announce(&server)?;
        let stop = CancellationToken::new();
        tokio::spawn(signalled.stop(stop.clone()));
        server.run(stop).await;
        Ok(())
    })
}

/// The lines that programs wait for.
fn announce(server: &Server) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let write = |stdout: &mut StdoutLock<'_>| {
        writeln!(stdout, "listening on http://{}", server.address())?;
        if let Some(address) = server.admin_address() {
            writeln!(stdout, "admin listening on http://{address}")?;
        }
        stdout.flush()
    };
    write(&mut stdout).map_err(|error| Failure::io("stdout", &error))
}
