//! One process writes a log, and only files that are private are written.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use temporal_kms_audit::{AuditError, AuditLog, AuditOptions, Target};

use crate::{
    crash::child,
    support::{files, options},
};

fn refused(folder: &Path) -> String {
    AuditLog::open(&options(folder)).unwrap_err().to_string()
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_which_one_writes() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = child("crash::writes_until_it_is_killed", folder.path())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(other.stdout.take().unwrap()).lines();
    assert!(output.any(|line| line.unwrap().contains("confirmed")));
    let error = refused(folder.path());
    let process = format!("(process {})", other.id());
    assert!(error.contains(&process), "{error}");
    other.kill().unwrap();
    other.wait().unwrap();
    // The lock ends with the process.
    let log = AuditLog::open(&options(folder.path())).unwrap();
    let error = refused(folder.path());
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    log.close().await.unwrap();
}

#[tokio::test]
async fn folders_and_files_that_others_can_change_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode));
    mode(folder.path(), 0o770).unwrap();
    assert!(refused(folder.path()).contains("chmod go-w"));
    mode(folder.path(), 0o1777).unwrap();
    let error = refused(folder.path());
    assert!(error.contains("name a folder of your own"), "{error}");
    assert!(!error.contains("chmod"), "{error}");
    mode(folder.path(), 0o755).unwrap();
    let options = options(folder.path()).with_file_mode(0o640);
    let log = AuditLog::open(&options).unwrap();
    log.close().await.unwrap();
    drop(log);
    let file = &files(folder.path())[0];
    assert_eq!(
        fs::metadata(file).unwrap().permissions().mode() & 0o777,
        0o640
    );
    mode(file, 0o644).unwrap();
    let error = refused(folder.path());
    assert!(
        error.contains("mode 0644") && error.contains("chmod 600"),
        "{error}"
    );
    // A link could lead anywhere.
    fs::remove_file(file).unwrap();
    symlink("/dev/null", file).unwrap();
    assert!(refused(folder.path()).contains("not a regular file"));
}

#[test]
fn a_folder_is_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("audit");
    let error = AuditLog::open(&AuditOptions::folder(&missing)).unwrap_err();
    assert!(matches!(&error, AuditError::NoFolder(path) if *path == missing));
    assert!(error.to_string().contains("install -d -m 0700"), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(refused(&file).contains("not a folder"));
    for path in [missing, file] {
        assert!(AuditLog::check_target(&Target::Folder(path)).is_err());
    }
}

#[tokio::test]
async fn a_folder_is_checked_without_a_change_while_another_process_writes() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::Folder(folder.path().to_owned());
    let mode = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode));
    AuditLog::check_target(&target).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let log = AuditLog::open(&options(folder.path())).unwrap();
    log.started().await.unwrap();
    AuditLog::check_target(&target).unwrap();
    log.close().await.unwrap();
    drop(log);
    for file in [&files(folder.path())[0], &folder.path().join("head")] {
        mode(file, 0o666).unwrap();
        let error = AuditLog::check_target(&target).unwrap_err();
        assert!(
            matches!(error, AuditError::FileNotPrivate { .. }),
            "{error}"
        );
        mode(file, 0o600).unwrap();
    }
    mode(folder.path(), 0o777).unwrap();
    let error = AuditLog::check_target(&target).unwrap_err();
    assert!(
        matches!(error, AuditError::FolderNotPrivate { .. }),
        "{error}"
    );
}
