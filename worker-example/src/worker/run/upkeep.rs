//! What a worker removes while it runs: old logs, and what lost workers and ended tasks left.

use std::{io, path::Path, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};

use super::super::{log_store, settings::WorkerSettings};
use crate::{
    client::{ClientError, TaskClient},
    proxy, sandbox,
    store::{self, StoreError, Vault},
};

/// How often old logs are looked for.
const RETENTION_PAUSE: Duration = Duration::from_hours(1);
/// How often folders of lost workers are looked for.
const LEFT_PAUSE: Duration = Duration::from_secs(30);
/// How long a folder must be unchanged before a worker that runs removes it as one of a lost worker. A worker that starts
/// removes younger ones, too.
const LEFT_AGE: Duration = Duration::from_mins(2);
/// How long a submission may take from the storing of its secrets to the start of its workflow.
const SUBMISSION: Duration = Duration::from_mins(10);

/// Removes old logs every hour, for ever.
pub(super) async fn expire_logs(settings: &WorkerSettings) {
    let Some(age) = settings.log_retention else {
        return std::future::pending().await;
    };
    loop {
        let workdir = settings.workdir.clone();
        let expired = spawn_blocking(move || log_store::expire(&workdir, age)).await;
        match expired.map_err(io::Error::from).flatten() {
            Ok(0) => {}
            Ok(removed) => {
                tracing::info!(removed, "removed logs that are older than --log-retention");
            }
            Err(error) => tracing::warn!(%error, "cannot remove old logs"),
        }
        sleep(RETENTION_PAUSE).await;
    }
}

/// Removes what lost workers left, for ever. A supervisor can hold the folder of its task longer than the next worker needs to
/// start.
pub(super) async fn sweep_left(workdir: &Path) {
    loop {
        sleep(LEFT_PAUSE).await;
        let workdir = workdir.to_owned();
        let swept = spawn_blocking(move || {
            proxy::sweep(&workdir, LEFT_AGE)?;
            sandbox::sweep(&workdir, LEFT_AGE)
        });
        match swept.await.map_err(io::Error::from).flatten() {
            Ok(0) => {}
            Ok(removed) => tracing::warn!(removed, "removed workspaces of a lost worker"),
            Err(error) => tracing::warn!(%error, "cannot remove workspaces of a lost worker"),
        }
    }
}

/// Removes from the store what is not needed any more, for ever.
pub(super) async fn sweep(tasks: &TaskClient, age: Option<Duration>) {
    let Some(vault) = tasks.vault() else {
        return std::future::pending().await;
    };
    loop {
        if let Err(error) = sweep_once(tasks, vault, age).await {
            tracing::warn!(%error, "cannot remove old objects from the store");
        }
        sleep(RETENTION_PAUSE).await;
    }
}

async fn sweep_once(
    tasks: &TaskClient,
    vault: &Vault,
    age: Option<Duration>,
) -> Result<(), StoreError> {
    for task in store::unneeded_secrets(vault.objects(), vault.namespace(), SUBMISSION).await? {
        let status = tasks.task(&task).status().await;
        let is_needed = match status {
            Ok(status) => status.is_open(),
            Err(ClientError::NotFound(_)) => false,
            // Without an answer, the next sweep decides.
            Err(_) => true,
        };
        if !is_needed {
            tracing::warn!(task = %task, "removing the secrets of a task that has ended");
            vault.delete_secrets(&task).await?;
        }
    }
    if let Some(age) = age {
        let removed = store::expire_sessions(vault.objects(), age).await?;
        if removed > 0 {
            tracing::info!(removed, "removed logs that are older than --log-retention");
        }
    }
    Ok(())
}
