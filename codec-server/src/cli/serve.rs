//! `serve`: the server, until a signal stops it.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use temporal_kms_codec::audit::Target;
use temporal_kms_codec_service::{
    lifecycle::{self, CancellationToken, StopSignals, Triggers},
    log::EarlyLog,
    open_files,
    telemetry::{Program, Telemetry},
};

use super::exit::Failure;
use crate::{config::LoadedConfig, server::Server};

const PROGRAM: Program = Program::codec_server(env!("CARGO_PKG_VERSION"));

pub(super) const HELP: &str = "\
Examples:
  codec-server serve --config codec.toml
  CODEC_SERVER_LISTEN=127.0.0.1:9000 codec-server serve --config codec.toml
  TEMPORAL_CODEC_KEY=local://2026 TEMPORAL_CODEC_KEYRING=keys codec-server serve

A small codec.toml:
  [cors]
  allowed_origins = [\"https://temporal.example.com\"]
  [keys]
  local_keyring = \"/var/lib/codec/keys\"
  [namespaces.default]
  encrypt = [\"local://2026\"]
  decrypt = [\"local://2025\"]

`config check` reports every mistake in it. A server creates no key: see
`keys create`.

SIGTERM and SIGINT stop the server after the requests in flight. SIGHUP, or a
change of the file or of a file that it names, makes the server read the
configuration again. An invalid one changes nothing. SIGUSR1 drops the data keys
in memory.";

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The configuration; without it, settings come from `CODEC_…` and `TEMPORAL_CODEC_…` variables.
    #[arg(long, value_name = "FILE", env = "CODEC_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) fn run(options: ServeArgs, log: Option<EarlyLog>) -> Result<(), Failure> {
    let config = match options.config {
        Some(file) => LoadedConfig::from_file(&file)?,
        None => LoadedConfig::from_environment()?,
    };
    start(config, log)
}

/// Runs a server with this configuration. `log` is the log of its start.
pub(super) fn start(config: LoadedConfig, log: Option<EarlyLog>) -> Result<(), Failure> {
    lifecycle::run(async {
        let telemetry = Telemetry::start(PROGRAM, &config.config.telemetry, log)?;
        open_files::allow(config.config.server.open_files());
        let done = serve(config, &telemetry).await;
        telemetry.finish().await;
        done
    })
}

/// A configuration that can change is read again at SIGHUP; otherwise SIGHUP stops the server.
async fn serve(config: LoadedConfig, telemetry: &Telemetry) -> Result<(), Failure> {
    // From here on, a signal is a request to stop or to reload, even before the server serves.
    let no_signals = |error| Failure::io("signals cannot be received", &error);
    let (signals, triggers) = if config.can_change() {
        let triggers = Triggers::listen().map_err(no_signals)?;
        (StopSignals::listen_but_to_hangup(), Some(triggers))
    } else {
        (StopSignals::listen(), None)
    };
    let signals = signals.map_err(no_signals)?;
    let stop = CancellationToken::new();
    tokio::spawn(signals.cancel(stop.clone()));
    let log = telemetry.log();
    if let Some(log) = log {
        log.set(config.config.log.level.as_ref());
    }
    let audit = config.config.audit.as_ref();
    let is_stdout_a_log = audit.is_some_and(|audit| audit.options.target == Target::Stdout);
    let binding = Server::bind(config, Arc::clone(telemetry.metrics()));
    let Some(server) = unless_stopped(&stop, binding).await? else {
        tracing::info!("stopped before every key was open");
        return Ok(());
    };
    let server = server.with_log(log.cloned());
    if is_stdout_a_log {
        announce(&server, io::stderr().lock(), "stderr")?;
    } else {
        announce(&server, io::stdout().lock(), "stdout")?;
    }
    server.run(stop, triggers).await;
    Ok(())
}

/// The result of `work`, or `None` when the process is told to stop first. Opening a key can take long, and a
/// hardware token blocks the thread.
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
        done = work => done?.map(Some).map_err(Into::into),
        () = stop.cancelled() => Ok(None),
    }
}

/// The lines that scripts and tests wait for. An audit log on standard output has nothing but its own lines.
fn announce(server: &Server, mut output: impl Write, name: &str) -> Result<(), Failure> {
    let mut write = || {
        writeln!(output, "listening on {}", server.url())?;
        if let Some(address) = server.admin_url() {
            writeln!(output, "admin listening on {address}")?;
        }
        output.flush()
    };
    write().map_err(|error| Failure::io(name, &error))
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
