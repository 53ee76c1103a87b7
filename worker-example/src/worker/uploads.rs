//! Stores the files of a workspace that a request asks to keep.

use std::io::{self, Read as _};

use tokio::{sync::Semaphore, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::{
    files::{self, Upload},
    store::Vault,
    task::{ActionsReport, TaskId, UploadedFile},
};

/// The uploads of a worker process. A file is in memory as a whole, and once more sealed, so one file at a time is uploaded for
/// all tasks together.
#[derive(Debug)]
pub(super) struct Uploads(Semaphore);

impl Uploads {
    pub(super) fn new() -> Self {
        Self(Semaphore::new(1))
    }

    /// Stores files until `stop` is cancelled. The report tells which, and why others are not stored.
    pub(super) async fn store(
        &self,
        vault: &Vault,
        task: &TaskId,
        prefix: Option<&str>,
        files: Vec<Upload>,
        stop: &CancellationToken,
        report: &mut ActionsReport,
    ) {
        for upload in files {
            let path = upload.path.clone();
            let object = files::object_path(task, prefix, &path);
            let stored = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    let problem = format!("the task was ended before {path} and the files after it were uploaded");
                    report.warnings.push(problem);
                    return;
                }
                stored = self.store_one(vault, &object, upload) => stored,
            };
            match stored {
                Ok(size) => {
                    let uploaded = UploadedFile::new(path, object, size);
                    report.uploaded_files.push(uploaded);
                }
                Err(error) => {
                    let problem = format!("cannot upload {path}: {error}");
                    report.warnings.push(problem);
                }
            }
        }
    }

    /// Stores a file. Returns its size.
    async fn store_one(&self, vault: &Vault, object: &str, upload: Upload) -> io::Result<u64> {
        let _turn = self.0.acquire().await.map_err(io::Error::other)?;
        let content = spawn_blocking(move || read(&upload)).await;
        let content = content.map_err(io::Error::from)??;
        let stored = vault.put_session(object, &content).await;
        stored.map_err(io::Error::other)?;
        Ok(content.len() as u64)
    }
}

/// Reads a file. One that has grown since it was found is cut, so the buffer never grows.
fn read(upload: &Upload) -> io::Result<Vec<u8>> {
    let size = usize::try_from(upload.size).map_err(io::Error::other)?;
    let mut content = Vec::with_capacity(size);
    upload.open()?.take(upload.size).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{files::UploadLimits, store::for_tests::vault};

    #[tokio::test]
    async fn an_ended_task_uploads_nothing_more() {
        let workspace = tempfile::tempdir().unwrap();
        std::fs::write(workspace.path().join("a.txt"), "12345").unwrap();
        let patterns = ["*.txt".to_owned()];
        let found = files::collect(workspace.path(), &patterns, &[], UploadLimits::default());
        let found = found.unwrap().uploads;
        let content = read(&found[0]).unwrap();
        assert_eq!((content.as_slice(), content.capacity()), (&b"12345"[..], 5));
        // The file grows after it was found.
        std::fs::write(workspace.path().join("a.txt"), "1234567").unwrap();
        let content = read(&found[0]).unwrap();
        assert_eq!((content.as_slice(), content.capacity()), (&b"12345"[..], 5));
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path()).await;
        let task = "t".parse().unwrap();
        let uploads = Uploads::new();
        let stop = CancellationToken::new();
        let mut report = ActionsReport::default();
        let files = || found.clone();
        uploads
            .store(&vault, &task, None, files(), &stop, &mut report)
            .await;
        assert_eq!(report.uploaded_files.len(), 1);
        stop.cancel();
        uploads
            .store(&vault, &task, None, files(), &stop, &mut report)
            .await;
        assert_eq!(report.uploaded_files.len(), 1);
        assert!(
            report.warnings[0].contains("before a.txt"),
            "{:?}",
            report.warnings
        );
    }
}
