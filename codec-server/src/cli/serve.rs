//! `dev` and `serve`.

use std::io::{StdoutLock, Write as _};

use temporal_kms_codec::{
    KeyUri,
    kms::{Kms, local::LocalKeyring},
};
use temporal_kms_codec_service::{
    lifecycle::{CancellationToken, StopSignals},
    local_key::{DEFAULT_LOCAL_KEY, default_keyring},
};

use super::{
    Dev, Serve,
    exit::{Failure, Status, say},
    runtime,
};
use crate::{
    config::{Config, CorsConfig, NamespaceConfig, NamespacesConfig, ServerConfig},
    server::Server,
};

pub(super) fn dev(options: Dev) -> Result<(), Failure> {
    let keyring = match options.keyring {
        Some(keyring) => keyring,
        None => default_keyring().ok_or_else(|| {
            Failure::new(
                Status::Usage,
                "name the folder of the local key with --keyring DIR",
            )
        })?,
    };
    let key: KeyUri = DEFAULT_LOCAL_KEY
        .parse()
        .map_err(|error| Failure::new(Status::Usage, error))?;
    create_missing(&key, &keyring)?;
    let mut server = ServerConfig::on(options.listen);
    server.admin_listen = options.admin_listen;
    let mut namespace = NamespaceConfig::with_key(key);
    namespace.on_undecodable = options.on_undecodable;
    namespace.plaintext = options.plaintext;
    namespace.open_formats_too(&options.decrypt_formats);
    let keys = Kms::builder().local_keyring(keyring).build();
    run(Config {
        server,
        cors: CorsConfig::local(),
        keys,
        namespaces: NamespacesConfig::Any(namespace),
    })
}

/// Of all servers, only this one creates its key.
fn create_missing(key: &KeyUri, keyring: &std::path::Path) -> Result<(), Failure> {
    let file = keyring.join(format!("{}.json", key.resource()));
    let is_new = !file.exists();
    LocalKeyring::open(keyring)
        .key_or_create(key.resource())
        .map_err(Failure::from)?;
    if is_new {
        say(format_args!(
            "created {key} in {} (development only)",
            keyring.display()
        ));
    }
    Ok(())
}

pub(super) fn serve(options: Serve) -> Result<(), Failure> {
    run(match options.config {
        Some(file) => Config::load(&file)?,
        None => Config::from_environment()?,
    })
}

fn run(config: Config) -> Result<(), Failure> {
    runtime::run(async {
        // From here on, a signal is a request to stop, even before the server serves.
        let signals = StopSignals::listen()
            .map_err(|error| Failure::io("signals cannot be received", &error))?;
        let stop = CancellationToken::new();
        tokio::spawn(signals.cancel(stop.clone()));
        let Some(server) = unless_stopped(&stop, Server::bind(config)).await? else {
            tracing::info!("stopped before every key was open");
            return Ok(());
        };
        announce(&server)?;
        server.run(stop).await;
        Ok(())
    })
}

/// What `work` returns, or `None` when the process is told to stop meanwhile. Opening a key can take long and can block
/// its thread, as tokens do.
async fn unless_stopped<T, E>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<Option<T>, Failure>
where
    T: Send + 'static,
    E: Into<Failure> + Send + 'static,
{
    let work = tokio::spawn(work);
    tokio::select! {
        done = work => done
            .map_err(|error| Failure::new(Status::Software, error))?
            .map(Some)
            .map_err(Into::into),
        () = stop.cancelled() => Ok(None),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_does_not_wait_for_keys_that_are_being_opened() {
        let stop = CancellationToken::new();
        stop.cancel();
        let opening = std::future::pending::<Result<(), Failure>>();
        assert_eq!(unless_stopped(&stop, opening).await.unwrap(), None);
    }
}
