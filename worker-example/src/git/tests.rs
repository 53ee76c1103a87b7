//! Checkout, commit and push against a real sshd with bare repositories.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use integration_tests::Sshd;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{
    Checkout, Finish, GitPlace, GitSettings, call::Call, check_out, finish, remote::Remote,
    ssh::SshFiles,
};
use crate::{
    redact::Redactor,
    sandbox::{Programs, Workspace, unconfined},
    task::{GitAction, GitUrl, RecoveryMethod, Secret, StepError, TaskId, TaskRequest},
    webhook::AddressPolicy,
};

/// A server of repositories, and one task with its folders.
struct Rig {
    folder: TempDir,
    sshd: Sshd,
    key: String,
    workspace: Workspace,
    programs: Programs,
    settings: GitSettings,
    cancelled: CancellationToken,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sshd = Sshd::start(folder.path());
        let (workspace, programs) = unconfined(folder.path()).await;
        let settings = GitSettings {
            known_hosts: Some(sshd.known_hosts()),
            addresses: AddressPolicy::new(vec!["127.0.0.1".parse().unwrap()]),
            patience: Duration::ZERO,
            ..GitSettings::default()
        };
        let key = sshd.key();
        let rig = Self {
            folder,
            sshd,
            key,
            workspace,
            programs,
            settings,
            cancelled: CancellationToken::new(),
        };
        rig.git(
            rig.folder.path(),
            &["init", "-q", "--bare", "-b", "main", "remote.git"],
        );
        rig.git(rig.folder.path(), &["clone", "-q", "remote.git", "other"]);
        rig.others(&[
            ("a.txt", "1\n2\n3\n"),
            ("b.txt", "b\n"),
            (".env", "OWN=1\n"),
        ]);
        rig
    }

    #[expect(clippy::unused_self, reason = "it is called like the others")]
    fn git(&self, folder: &Path, arguments: &[&str]) -> String {
        let done = Command::new("git")
            .args(["-c", "user.name=Other", "-c", "user.email=o@x"])
            .args(["-c", "protocol.file.allow=always"])
            .args(arguments)
            .current_dir(folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Another person pushes these files. An empty text removes a file.
    fn others(&self, files: &[(&str, &str)]) -> String {
        let other = self.folder.path().join("other");
        if self.remote(&["branch"]).is_empty() {
            self.git(&other, &["checkout", "-q", "-b", "main"]);
        } else {
            self.git(&other, &["pull", "-q", "origin", "main"]);
        }
        for (name, text) in files {
            let path = other.join(name);
            if text.is_empty() {
                fs::remove_file(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
        }
        self.git(&other, &["add", "-A", "-f"]);
        self.git(&other, &["commit", "-q", "-m", "of others"]);
        self.git(&other, &["push", "-q", "origin", "main"]);
        self.git(&other, &["rev-parse", "HEAD"])
    }

    fn remote(&self, arguments: &[&str]) -> String {
        self.git(&self.folder.path().join("remote.git"), arguments)
    }

    fn root(&self) -> PathBuf {
        self.workspace.root()
    }

    fn request(&self, further: &Value) -> TaskRequest {
        let url = self.sshd.address(&self.folder.path().join("remote.git"));
        let mut fields =
            json!({"prompt": "p", "anthropicApiKey": "k", "gitRepo": url, "sshKey": self.key});
        let fields_map = fields.as_object_mut().unwrap();
        fields_map.extend(further.as_object().unwrap().clone());
        TaskRequest::from_value(fields).unwrap()
    }

    async fn check_out(&self, request: &TaskRequest) -> Result<Option<Checkout>, StepError> {
        let redactor = Redactor::of(request).unwrap();
        check_out(&self.place(&redactor), request).await
    }

    fn place<'a>(&'a self, redactor: &'a Redactor) -> GitPlace<'a> {
        GitPlace::new(
            &self.programs,
            &self.workspace,
            &self.settings,
            redactor,
            &self.cancelled,
        )
    }

    async fn finish(&self, request: &TaskRequest, checkout: &Checkout, action: Value) -> Finish {
        let redactor = Redactor::of(request).unwrap();
        let action: GitAction = serde_json::from_value(action).unwrap();
        let task: TaskId = "t-1".parse().unwrap();
        let generated = [".env".to_owned(), ".claude/agents/x.md".to_owned()];
        finish(
            &self.place(&redactor),
            &task,
            Some(checkout),
            request.ssh_key.as_ref(),
            &action,
            &generated,
        )
        .await
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn no_key_is_left(&self) {
        assert!(!self.workspace.git().join("ssh").exists());
    }
}

fn push() -> Value {
    json!({"commit": true, "commitMessage": "Fix it", "push": true})
}

#[tokio::test]
async fn clones_commits_and_pushes_with_keys_as_callers_send_them() {
    let rig = Rig::new().await;
    let request = rig.request(&json!({"sshKey": rig.key.trim_end().replace('\n', "\r\n")}));
    let checkout = rig.check_out(&request).await.unwrap().unwrap();
    assert_eq!(checkout.commit, rig.remote(&["rev-parse", "main"]));
    assert_eq!(checkout.host, "127.0.0.1");
    assert_eq!(fs::read_to_string(rig.root().join("b.txt")).unwrap(), "b\n");
    rig.no_key_is_left();

    rig.write("new/deep.txt", "new\n");
    rig.write("a.txt", "changed\n");
    rig.write(".env", "SECRET=1\n");
    rig.write(".claude/agents/x.md", "generated\n");
    fs::remove_file(rig.root().join("b.txt")).unwrap();
    let done = rig.finish(&request, &checkout, push()).await;
    assert_eq!((done.problem, done.warnings), (None, vec![]));
    let commit = done.commit.unwrap();
    assert_eq!(commit.sha, rig.remote(&["rev-parse", "main"]));
    assert_eq!((commit.message.as_str(), commit.pushed), ("Fix it", true));
    assert_eq!(
        (commit.branch.as_deref(), commit.recovery),
        (Some("main"), None)
    );
    assert_eq!(
        rig.remote(&["ls-tree", "-r", "--name-only", "main"]),
        ".env\na.txt\nnew/deep.txt"
    );
    assert_eq!(rig.remote(&["show", "main:.env"]), "OWN=1");
    assert_eq!(
        rig.remote(&["log", "-1", "--format=%an <%ae> %cn <%ce> %P", "main"]),
        format!(
            "Claude Code <noreply@anthropic.com> Claude Code <noreply@anthropic.com> {}",
            checkout.commit
        )
    );
    rig.no_key_is_left();

    // Another attempt finds its commit at the server.
    let again = rig
        .finish(&request, &checkout, push())
        .await
        .commit
        .unwrap();
    assert_eq!((again.sha, again.pushed), (commit.sha, true));
}

#[tokio::test]
async fn patterns_identity_and_branches_are_those_of_the_request() {
    let rig = Rig::new().await;
    rig.others(&[(
        ".gitconfig",
        "[user]\nname = Ana\nemail = ana@example.com\n[include]\npath = /etc/passwd\n",
    )]);
    let request = rig.request(&json!({}));
    let checkout = rig.check_out(&request).await.unwrap().unwrap();
    let nothing = rig.finish(&request, &checkout, push()).await;
    assert_eq!((nothing.commit, nothing.problem), (None, None));
    rig.write("docs/x.md", "x\n");
    rig.write("y.md", "y\n");
    rig.write("z.txt", "z\n");
    let action = json!({"commit": true, "push": true, "branch": "feature/x", "files": ["*.md", "missing/*"]});
    let done = rig.finish(&request, &checkout, action).await;
    assert_eq!(done.problem, None);
    let commit = done.commit.unwrap();
    assert!(commit.message.contains("Task: t-1"), "{}", commit.message);
    let changed = rig.remote(&["diff", "--name-only", "main", "feature/x"]);
    assert_eq!(changed, "docs/x.md\ny.md");
    assert_eq!(
        rig.remote(&["log", "-1", "--format=%an %ae", "feature/x"]),
        "Ana ana@example.com"
    );
    let only = rig
        .finish(&request, &checkout, json!({"commit": true, "push": false}))
        .await;
    assert!(!only.commit.unwrap().pushed);
    let none = rig.finish(&request, &checkout, json!({"push": true})).await;
    assert!(none.problem.unwrap().contains("commit is false"));
}

#[tokio::test]
async fn a_branch_that_moved_is_recovered_as_the_strategy_says() {
    let rig = Rig::new().await;
    let request = rig.request(&json!({}));
    let checkout = rig.check_out(&request).await.unwrap().unwrap();
    rig.write("a.txt", "1\ntask\n3\n");
    let remote = rig.others(&[("a.txt", "1\nother\n3\n"), ("c.txt", "c\n")]);
    let mut action = push();
    action["conflictStrategy"] = "fail".into();
    let failed = rig.finish(&request, &checkout, action).await;
    assert!(failed.problem.unwrap().contains("conflictStrategy is fail"));
    assert!(!failed.commit.unwrap().pushed);
    assert_eq!(rig.remote(&["rev-parse", "main"]), remote);

    let commit = rig
        .finish(&request, &checkout, push())
        .await
        .commit
        .unwrap();
    let recovery = commit.recovery.unwrap();
    assert_eq!(recovery.method, RecoveryMethod::Rebase);
    assert_eq!(
        (recovery.remote_sha, recovery.conflict_files),
        (remote.clone(), vec!["a.txt".to_owned()])
    );
    assert_eq!(rig.remote(&["show", "main:a.txt"]), "1\ntask\n3");
    assert_eq!(rig.remote(&["show", "main:c.txt"]), "c");
    assert_eq!(
        rig.remote(&["rev-parse", "main", "main^"]),
        format!("{}\n{remote}", commit.sha)
    );
}

#[tokio::test]
async fn what_cannot_be_rebased_replaces_the_branch_with_a_lease() {
    let rig = Rig::new().await;
    let request = rig.request(&json!({}));
    let checkout = rig.check_out(&request).await.unwrap().unwrap();
    rig.write("a.txt", "task\n");
    let remote = rig.others(&[("a.txt", "")]);
    let done = rig.finish(&request, &checkout, push()).await;
    assert_eq!(done.problem, None);
    let commit = done.commit.unwrap();
    let recovery = commit.recovery.unwrap();
    assert_eq!(recovery.method, RecoveryMethod::ForceWithLease);
    assert_eq!(
        (recovery.remote_sha, recovery.conflict_files),
        (remote, vec!["a.txt".to_owned()])
    );
    assert_eq!(
        rig.remote(&["rev-parse", "main", "main^"]),
        format!("{}\n{}", commit.sha, checkout.commit)
    );
}

#[tokio::test]
async fn unknown_servers_keys_and_branches_are_told_apart() {
    let mut rig = Rig::new().await;
    let of = |error: StepError| (error.is_transient(), error.to_string());
    let request = rig.request(&json!({"gitBranch": "absent"}));
    let (retry, text) = of(rig.check_out(&request).await.unwrap_err());
    assert!(!retry && text.contains("gitBranch"), "{text}");

    let other = rig.folder.path().join("other-key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&other)
        .status();
    assert!(made.unwrap().success());
    let wrong = fs::read_to_string(&other).unwrap();
    let request = rig.request(&json!({"sshKey": wrong}));
    let (retry, text) = of(rig.check_out(&request).await.unwrap_err());
    assert!(!retry && text.contains("refused sshKey"), "{text}");
    let request = rig.request(&json!({"sshKey": "-----BEGIN OPENSSH PRIVATE KEY-----\nabc"}));
    let (retry, text) = of(rig.check_out(&request).await.unwrap_err());
    assert!(!retry && text.contains("sshKey is not"), "{text}");

    rig.settings.known_hosts = None;
    let (retry, text) = of(rig.check_out(&rig.request(&json!({}))).await.unwrap_err());
    assert!(!retry && text.contains("--git-known-hosts"), "{text}");
    rig.no_key_is_left();
    rig.cancelled.cancel();
    let error = rig.check_out(&rig.request(&json!({}))).await.unwrap_err();
    assert!(matches!(error, StepError::Cancelled), "{error}");
}

#[tokio::test]
async fn nothing_of_a_hostile_repository_runs() {
    let rig = Rig::new().await;
    let trap = rig.folder.path().join("sprung");
    let touch = format!("touch {}", trap.display());
    rig.others(&[
        (
            ".gitattributes",
            "* filter=trap diff=trap merge=trap\n*.bin filter=lfs -text\n",
        ),
        (
            "big.bin",
            "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        ),
        (
            ".gitmodules",
            &format!("[submodule \"m\"]\npath = m\nurl = ext::sh -c '{touch}'\n"),
        ),
        (
            ".gitconfig",
            &format!("[core]\nfsmonitor = {touch}\nsshCommand = {touch}\n"),
        ),
    ]);
    let request = rig.request(&json!({}));
    let checkout = rig.check_out(&request).await.unwrap().unwrap();

    // A session replaces what git would read.
    let git = rig.root().join(".git");
    let hostile = format!(
        "[core]\nrepositoryformatversion = 0\nfsmonitor = {touch}\nsshCommand = {touch}\nhooksPath = {}\npager = {touch}\n\
         [filter \"trap\"]\nclean = {touch}\nsmudge = {touch}\nprocess = {touch}\nrequired = true\n\
         [diff \"trap\"]\ncommand = {touch}\ntextconv = {touch}\n[merge \"trap\"]\ndriver = {touch}\n\
         [remote \"origin\"]\nurl = ext::sh -c '{touch}'\nuploadpack = {touch}\nreceivepack = {touch}\n\
         [credential]\nhelper = !{touch}\n[alias]\ncommit-tree = !{touch}\n",
        git.join("hooks").display()
    );
    fs::create_dir_all(git.join("hooks")).unwrap();
    for hook in [
        "pre-push",
        "pre-commit",
        "post-checkout",
        "reference-transaction",
        "post-index-change",
    ] {
        let path = git.join("hooks").join(hook);
        fs::write(&path, format!("#!/bin/sh\n{touch}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(git.join("config"), &hostile).unwrap();
    // A repository inside, with the same configuration, and links that lead outside.
    let inner = rig.root().join("inner");
    rig.git(
        &rig.root(),
        &["-c", "core.fsmonitor=false", "init", "-q", "inner"],
    );
    fs::write(inner.join("f"), "f").unwrap();
    rig.git(&inner, &["add", "f"]);
    rig.git(&inner, &["commit", "-q", "-m", "x"]);
    fs::write(inner.join(".git/config"), &hostile).unwrap();
    symlink("/etc/passwd", rig.root().join("link")).unwrap();
    rig.write("changed.txt", "x\n");
    rig.write("more.bin", "raw\n");

    let done = rig.finish(&request, &checkout, push()).await;
    assert_eq!(done.problem, None);
    assert!(done.commit.unwrap().pushed);
    assert!(
        done.warnings[0].contains("not committed: 1"),
        "{:?}",
        done.warnings
    );
    assert!(!trap.exists(), "something of the repository ran");
    assert_eq!(rig.remote(&["show", "main:more.bin"]), "raw");
    // A link is committed as a link.
    assert_eq!(rig.remote(&["show", "main:link"]), "/etc/passwd");
    assert!(rig.remote(&["ls-tree", "main", "inner"]).is_empty());

    // Without any `.git`, or with one that leads elsewhere, the commit works as well.
    fs::remove_dir_all(&git).unwrap();
    fs::write(&git, "gitdir: /nonexistent\n").unwrap();
    rig.write("changed.txt", "y\n");
    let done = rig.finish(&request, &checkout, push()).await;
    assert_eq!(done.problem, None);
    assert!(done.commit.unwrap().pushed && !trap.exists());
}

#[tokio::test]
async fn servers_inside_the_network_are_refused() {
    let mut rig = Rig::new().await;
    rig.settings.addresses = AddressPolicy::default();
    let mut requests = vec![rig.request(&json!({}))];
    for host in [
        "localhost",
        "127.1",
        "[::1]",
        "169.254.169.254",
        "10.1.2.3:8443",
    ] {
        let fields = json!({"prompt": "p", "anthropicApiKey": "k", "gitRepo": format!("https://{host}/a.git")});
        requests.push(TaskRequest::from_value(fields).unwrap());
    }
    for request in requests {
        let error = rig.check_out(&request).await.unwrap_err();
        let text = error.to_string();
        assert!(
            !error.is_transient() && text.contains("--git-allow"),
            "{text}"
        );
    }
    rig.no_key_is_left();
}

#[tokio::test]
async fn ssh_connects_to_the_address_that_was_checked() {
    let rig = Rig::new().await;
    let (host, path) = ("git.invalid", rig.folder.path().join("remote.git"));
    let address = rig.sshd.address_at(host, &path);
    let known = rig.sshd.known_hosts();
    let of_name = fs::read_to_string(&known)
        .unwrap()
        .replace("127.0.0.1", host);
    fs::write(&known, of_name).unwrap();
    let request = rig.request(&json!({}));
    let redactor = Redactor::of(&request).unwrap();
    let place = rig.place(&redactor);
    let key = Secret::new(rig.key.clone());
    let url = GitUrl::parse(&address, false).unwrap();
    let ssh = SshFiles::write(&place, Some(&key)).unwrap();
    let server = Remote::pinned(ssh, &url, "127.0.0.1".parse().unwrap());
    let listed = Call::new(&place, ["ls-remote", &address]).remote(&server);
    let listed = String::from_utf8(listed.output("no").await.unwrap()).unwrap();
    assert!(listed.contains("refs/heads/main"), "{listed}");
}

#[tokio::test]
async fn other_protocols_are_refused() {
    let rig = Rig::new().await;
    let path = rig.folder.path().join("remote.git");
    let request = TaskRequest::from_value(json!({"prompt": "p", "anthropicApiKey": "k",
        "gitRepo": "https://127.0.0.1:1/x.git", "sshKey": rig.key}));
    let error = rig.check_out(&request.unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("has a port"), "{error}");
    let mut request = rig.request(&json!({}));
    for url in [
        format!("file://{}", path.display()),
        "ext::sh -c id".to_owned(),
        "--upload-pack=id".to_owned(),
    ] {
        request.git_repo = Some(url);
        let error = rig.check_out(&request).await.unwrap_err();
        assert!(error.to_string().starts_with("gitRepo must be"), "{error}");
    }
}

#[tokio::test]
async fn a_commit_that_cannot_be_pushed_is_told() {
    let mut rig = Rig::new().await;
    let request = rig.request(&json!({"sshKey": rig.key.clone()}));
    let checkout = rig.check_out(&request).await.unwrap().unwrap();
    rig.write("a.txt", "changed\n");
    rig.sshd.stop();
    let done = rig.finish(&request, &checkout, push()).await;
    let problem = done.problem.unwrap();
    assert!(problem.contains("cannot push to branch main"), "{problem}");
    let commit = done.commit.unwrap();
    assert_eq!((commit.message.as_str(), commit.pushed), ("Fix it", false));
    assert_eq!(commit.sha.len(), 40);
    rig.no_key_is_left();
}
