//! What a request asks for after its session: a commit, and uploads.

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{PreparedTask, TaskRunner};
use crate::{
    files::{self, UploadLimits},
    git::{self, GitPlace},
    task::{ActionsReport, GitAction, UploadAction},
};

impl TaskRunner {
    /// Does what the request asks for after a successful session: the commit and the uploads. Their failure is reported and
    /// does not fail the task.
    pub(in crate::worker) async fn act(
        &self,
        prepared: &PreparedTask,
        stop: &CancellationToken,
    ) -> ActionsReport {
        let mut report = ActionsReport {
            task_id: prepared.task.to_string(),
            ..ActionsReport::default()
        };
        let Some(actions) = &prepared.request.post_execution_actions else {
            return report;
        };
        if let Some(action) = &actions.git {
            self.commit(prepared, action, stop, &mut report).await;
        }
        if let Some(action) = &actions.upload_files {
            self.upload(prepared, action, stop, &mut report).await;
        }
        report
    }

    async fn commit(
        &self,
        prepared: &PreparedTask,
        action: &GitAction,
        stop: &CancellationToken,
        report: &mut ActionsReport,
    ) {
        let place = GitPlace::new(
            &prepared.programs,
            &prepared.workspace,
            &self.git,
            &prepared.redactor,
            stop,
        );
        let done = git::finish(
            &place,
            &prepared.task,
            prepared.checkout.as_ref(),
            prepared.request.ssh_key.as_ref(),
            action,
            &prepared.generated,
        );
        let done = done.await;
        report.git_commit = done.commit;
        report.warnings.extend(done.warnings);
        report.warnings.extend(done.problem);
    }

    async fn upload(
        &self,
        prepared: &PreparedTask,
        action: &UploadAction,
        stop: &CancellationToken,
        report: &mut ActionsReport,
    ) {
        let Some(vault) = &self.vault else {
            let problem = "nothing is uploaded, because uploadFiles needs a store. Start the workers with --store";
            report.warnings.push(problem.to_owned());
            return;
        };
        let (root, patterns) = (prepared.workspace.root(), action.glob_patterns.clone());
        let generated = prepared.generated.clone();
        let found = spawn_blocking(move || {
            files::collect(&root, &patterns, &generated, UploadLimits::default())
        });
        let found = match found.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                report.warnings.push(format!("the upload failed: {error}"));
                return;
            }
            Err(error) => {
                let error = std::io::Error::from(error);
                report.warnings.push(format!("the upload failed: {error}"));
                return;
            }
        };
        report.warnings.extend(found.warnings);
        let prefix = action.gcs_prefix.as_deref();
        self.uploads
            .store(vault, &prepared.task, prefix, found.uploads, stop, report)
            .await;
    }
}
