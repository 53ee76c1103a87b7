//! Reads the configuration of a running server again, and serves it if it can be used.

use std::sync::Arc;

use temporal_kms_codec::audit::Event;
use temporal_kms_codec_service::{
    lifecycle::{NeedsRestart, Trigger, Triggers},
    log::LogControl,
    reload_report::ReloadReport,
};
use tokio::task::JoinSet;

use crate::{config::LoadedConfig, error::ServerError, generation::Generation, live::Live};

/// Reloads the configuration at each trigger.
pub(crate) struct Reloader {
    pub(crate) live: Live,
    pub(crate) report: ReloadReport,
    pub(crate) log: Option<LogControl>,
}

impl Reloader {
    /// Starts what goes on in the background of the current configuration, and reloads it until it is dropped.
    pub(crate) async fn run(self, mut triggers: Option<Triggers>) {
        self.set_log_level();
        let mut background = Background::default();
        background.follow(&self.live.current());
        let Some(triggers) = &mut triggers else {
            return std::future::pending().await;
        };
        let mut files = self.live.current().loaded.files.clone();
        loop {
            let pause = self.live.current().loaded.config.reload.watch_interval;
            match triggers.next(&mut files, pause).await {
                Trigger::Forget => self.forget(&mut background),
                trigger => {
                    tracing::info!(
                        because = trigger.as_str(),
                        "reading the configuration again"
                    );
                    if self.reload(&mut background).await {
                        files = self.live.current().loaded.files.clone();
                    }
                }
            }
        }
    }

    /// Drops the data keys in memory.
    fn forget(&self, background: &mut Background) {
        match self.live.current().emptied() {
            Ok(generation) => {
                self.live.replace(generation);
                background.follow(&self.live.current());
                self.report.note(Event::new("forget").text("result", "ok"));
                tracing::info!(
                    "every data key in memory is dropped; they are unwrapped again when they are needed"
                );
            }
            Err(error) => {
                tracing::error!(%error, "the data keys in memory cannot be dropped; restart the server");
            }
        }
    }

    /// Whether another configuration is served now.
    async fn reload(&self, background: &mut Background) -> bool {
        let before = self.live.current();
        match read(&before).await {
            Ok((generation, needs_restart)) => {
                self.live.replace(generation);
                background.follow(&self.live.current());
                self.report.succeeded(&needs_restart);
                self.set_log_level();
                true
            }
            Err(error) => {
                self.report.refused(&error);
                false
            }
        }
    }
}

impl Reloader {
    /// Logs as the current configuration says.
    fn set_log_level(&self) {
        let current = self.live.current();
        let level = current.loaded.config.log.level.as_ref();
        if let Some(log) = &self.log
            && !log.set(level)
        {
            tracing::warn!(
                "`level` of section [log] has no effect: RUST_LOG decides what is logged"
            );
        }
    }
}

/// The configuration as it is now, ready to be served in place of `before`.
async fn read(before: &Arc<Generation>) -> Result<(Generation, NeedsRestart), ReloadError> {
    let again = Arc::clone(before);
    // Files can be on a network.
    let loaded = tokio::task::spawn_blocking(move || again.loaded.again()).await;
    let loaded = loaded.map_err(std::io::Error::from)?;
    let mut loaded: LoadedConfig = loaded.map_err(ServerError::from)?;
    let needs_restart = loaded.keep_running(&before.loaded);
    // A half-written or badly generated file must not let everybody in.
    if loaded.config.auth.is_open() && !before.authenticator.is_open() {
        return Err(ReloadError::Unauthenticated);
    }
    let before = Arc::clone(before);
    // Opening a key can block a thread.
    let opening = tokio::spawn(async move {
        Generation::open(loaded, before.shared.clone(), Some(&before)).await
    });
    let opened = opening.await.map_err(std::io::Error::from)?;
    Ok((opened?, needs_restart))
}

/// Why another configuration is not served.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(
        "auth: the changed configuration names no caller, so everybody could decrypt; add section [auth] again, or restart \
         the server to serve everybody"
    )]
    Unauthenticated,
    #[error("a task failed: {0}; report this as a defect")]
    Task(#[from] std::io::Error),
}

/// What goes on for the configuration that is served.
#[derive(Default)]
struct Background(JoinSet<()>);

impl Background {
    /// Ends what goes on for the configuration before, and starts it for this one.
    fn follow(&mut self, generation: &Generation) {
        self.0.abort_all();
        let namespaces = Arc::clone(&generation.namespaces);
        let readiness = Arc::clone(&generation.shared.readiness);
        self.0.spawn(readiness.watch_keys(namespaces));
        let authenticator = generation.authenticator.clone();
        self.0.spawn(async move { authenticator.warm_up().await });
        let metrics = Arc::clone(&generation.shared.metrics);
        let config = &generation.loaded.config;
        if config.telemetry.key_ages {
            let keys = config.namespaces.encrypting_keys().into_iter().collect();
            let kms = config.keys.clone();
            self.0
                .spawn(async move { metrics.watch_key_ages(kms, keys).await });
        }
    }
}
