//! Reads the configuration of a running API again, and serves it if it can be used.

use std::{path::PathBuf, sync::Arc};

use temporal_kms_codec_service::{
    lifecycle::{NeedsRestart, Trigger, Triggers},
    reload_report::ReloadReport,
    settings::Problems,
    watch::Watch,
};
use tokio::task::JoinSet;

use super::{app::App, config::ApiConfig, live::Live, origin::Origin};

/// Why another configuration is not served.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Problems(#[from] Problems),
    #[error(
        "auth: the changed configuration names no caller, so everybody could run tasks; add section [auth] again, or restart \
         the service to serve everybody"
    )]
    Unauthenticated,
    #[error("a task failed: {0}; report this as a defect")]
    Task(#[from] std::io::Error),
}

/// Reloads the configuration at each trigger, until it is dropped.
pub(super) async fn run(
    app: Arc<App>,
    mut origin: Origin,
    report: ReloadReport,
    mut triggers: Triggers,
) {
    let mut warming = JoinSet::new();
    warm_up(&app, &mut warming);
    loop {
        let pause = app.live().config.reload.watch_interval;
        let trigger = triggers.next(&mut origin.files, pause).await;
        if trigger == Trigger::Forget {
            tracing::warn!(
                "{} has no effect on the API; restart it to drop its data keys",
                trigger.as_str()
            );
            continue;
        }
        tracing::info!(
            because = trigger.as_str(),
            "reading the configuration again"
        );
        match read(&app.live(), origin.path.clone()).await {
            Ok((live, files, needs_restart)) => {
                app.replace(live);
                origin.files = files;
                warm_up(&app, &mut warming);
                report.succeeded(&needs_restart);
            }
            Err(error) => report.refused(&error),
        }
    }
}

/// The configuration as it is now, ready to be served in place of `before`.
async fn read(
    before: &Arc<Live>,
    path: Option<PathBuf>,
) -> Result<(Live, Watch, NeedsRestart), ReloadError> {
    let before = Arc::clone(before);
    // Files can be on a network.
    let reading = tokio::task::spawn_blocking(move || {
        let (mut config, origin) = ApiConfig::load(path.as_deref(), &before.config.kms)?;
        let needs_restart = config.keep_running(&before.config);
        // A half-written or badly generated file must not let everybody in.
        if config.auth.is_open() && !before.authenticator.is_open() {
            return Err(ReloadError::Unauthenticated);
        }
        Problems::of_faults(config.faults())?;
        let live = Live::open(config, Some(&before))?;
        Ok((live, origin.files, needs_restart))
    });
    reading.await.map_err(std::io::Error::from)?
}

/// Fetches the keys of issuers in the background, those of the configuration that is served now.
fn warm_up(app: &App, warming: &mut JoinSet<()>) {
    warming.abort_all();
    let authenticator = app.live().authenticator.clone();
    warming.spawn(async move { authenticator.warm_up().await });
}
