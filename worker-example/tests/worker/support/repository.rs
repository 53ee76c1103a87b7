//! A bare repository with one commit, and a real sshd that serves it.

use dev_servers::SshServer;
use integration_tests::tool;
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::Rig;

/// A repository at a real sshd.
pub(crate) struct SshRepository {
    sshd: SshServer,
    bare: PathBuf,
}

impl SshRepository {
    /// Makes it in the folder of a rig, and lets the rig's workers reach it.
    pub(crate) fn of(rig: &mut Rig) -> Self {
        let folder = rig.folder.path().join("repository");
        fs::create_dir(&folder).unwrap();
        let sshd = SshServer::start(&tool("TKC_SSHD"), &folder).unwrap();
        let bare = bare(&folder);
        rig.set(
            "CLAUDE_TASKS_GIT_KNOWN_HOSTS",
            sshd.known_hosts().to_str().unwrap(),
        );
        rig.set("CLAUDE_TASKS_GIT_ALLOW", "127.0.0.1");
        Self { sshd, bare }
    }

    /// The fields of a request that clones it and pushes a commit to it.
    pub(crate) fn fields(&self) -> Value {
        json!({
            "gitRepo": self.sshd.url(&self.bare).unwrap(), "sshKey": self.key(),
            "postExecutionActions": {"git": {"commit": true, "commitMessage": "by the task", "push": true}},
        })
    }

    pub(crate) fn key(&self) -> String {
        fs::read_to_string(self.sshd.client_key()).unwrap()
    }

    /// Runs this script at the server before a push is accepted.
    pub(crate) fn before_push(&self, script: &str) {
        let hook = self.bare.join("hooks/pre-receive");
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        fs::write(&hook, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What git prints in the repository.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.bare, arguments)
    }
}

/// A bare repository with one commit.
pub(crate) fn bare(folder: &Path) -> PathBuf {
    let (bare, work) = (folder.join("bare.git"), folder.join("work"));
    for path in [&bare, &work] {
        fs::create_dir(path).unwrap();
    }
    git(&bare, &["init", "--bare", "--initial-branch=main", "."]);
    git(&work, &["init", "--initial-branch=main", "."]);
    fs::create_dir(work.join("src")).unwrap();
    fs::write(work.join("src/README"), "first\n").unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-m", "first"]);
    let url = format!("file://{}", bare.display());
    git(&work, &["push", &url, "main"]);
    bare
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    let done = command.output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}
