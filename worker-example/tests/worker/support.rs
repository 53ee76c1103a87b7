//! A worker with all that it needs: a real Temporal server, a fake Messages API, a key, and a folder.

pub(crate) mod attacker;
pub(crate) mod decoded;
pub(crate) mod processes;
pub(crate) mod provider;
pub(crate) mod replay;
pub(crate) mod repository;
pub(crate) mod scripted;
pub(crate) mod sink;

use claude_tasks::{ConnectOptions, TaskClient};
use dev_servers::{Process, TemporalOptions, TemporalServer};
use fake_anthropic::{Options, Server};
use integration_tests::{Keyring, Raw, temporal, tool, until};
use nix::{errno::Errno, sys::signal::Signal, unistd::Pid};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use temporalio_client::Client;
use temporalio_common::protos::temporal::api::history::v1::History;

pub(crate) const LIMIT: Duration = Duration::from_mins(2);
/// The last event of a Claude Code that has done its task.
pub(crate) const RESULT: &str =
    r#"{"type":"result","is_error":false,"num_turns":1,"result":"done"}"#;
/// A variable of the worker's environment that no task may see.
pub(crate) const WORKERS_OWN: &str = "worker-secret-7f3a9c";
/// What signs the webhooks of [`Rig::enable_webhooks`].
pub(crate) const WEBHOOK_SECRET: &str = "a-secret-that-signs-webhooks";

pub(crate) struct Rig {
    pub(crate) server: Arc<TemporalServer>,
    pub(crate) api: Server,
    pub(crate) folder: TempDir,
    keys: Keys,
    queue: String,
    variables: Vec<(&'static str, String)>,
}

/// How the programs get their key.
pub(crate) enum Keys {
    /// By `--keyring`.
    Keyring(Keyring),
    /// By `TEMPORAL_CODEC_KEY` and the variables of its service.
    Variables(Vec<(&'static str, String)>),
}

/// A Temporal server that no other test uses.
pub(crate) async fn own_temporal(options: TemporalOptions) -> Arc<TemporalServer> {
    let started =
        tokio::task::spawn_blocking(move || TemporalServer::start(&tool("TKC_TEMPORAL"), &options));
    Arc::new(started.await.unwrap().unwrap())
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with_api(Options::default()).await
    }

    pub(crate) async fn with_api(options: Options) -> Self {
        Self::with(options, Keys::Keyring(Keyring::new())).await
    }

    /// A rig with this keyring instead of a fresh one.
    pub(crate) async fn with_keyring(keyring: Keyring) -> Self {
        Self::with(Options::default(), Keys::Keyring(keyring)).await
    }

    pub(crate) async fn with_variables(variables: Vec<(&'static str, String)>) -> Self {
        Self::with(Options::default(), Keys::Variables(variables)).await
    }

    async fn with(options: Options, keys: Keys) -> Self {
        let server = tokio::task::spawn_blocking(temporal).await.unwrap();
        Self::at(server, options, keys).await
    }

    /// A rig with a Temporal server of its own.
    pub(crate) async fn with_server(options: TemporalOptions) -> Self {
        let server = own_temporal(options).await;
        Self::at(server, Options::default(), Keys::Keyring(Keyring::new())).await
    }

    /// The same rig at another Temporal server.
    pub(crate) fn at_server(mut self, server: Arc<TemporalServer>) -> Self {
        self.server = server;
        self
    }

    async fn at(server: Arc<TemporalServer>, options: Options, keys: Keys) -> Self {
        Self {
            server,
            api: Server::start("127.0.0.1:0".parse().unwrap(), options)
                .await
                .unwrap(),
            folder: tempfile::tempdir().unwrap(),
            keys,
            queue: fresh("queue"),
            variables: Vec::new(),
        }
    }

    /// A worker that runs the real Claude Code.
    pub(crate) fn worker(&self, arguments: &[&str]) -> Process {
        self.worker_with(&tool("TKC_CLAUDE"), arguments)
    }

    /// A worker that runs another program in Claude Code's place.
    pub(crate) fn worker_with(&self, claude: &Path, arguments: &[&str]) -> Process {
        self.start(self.command("worker"), claude, arguments)
    }

    /// A worker of the same task queue with another key.
    pub(crate) fn worker_with_keyring(&self, claude: &Path, keyring: &Keyring) -> Process {
        let mut command = self.command_without_keys("worker");
        command.arg("--keyring").arg(keyring.folder());
        self.start(command, claude, &[])
    }

    /// A worker whose files cannot grow beyond this many blocks of 512 bytes. Writing more is an error and not a signal.
    pub(crate) fn worker_with_small_files(&self, claude: &Path, blocks: u32) -> Process {
        self.worker_after(claude, &format!("trap '' XFSZ; ulimit -f {blocks}"))
    }

    /// A worker that a shell starts after these commands.
    pub(crate) fn worker_after(&self, claude: &Path, commands: &str) -> Process {
        let worker = self.command("worker");
        let mut command = Command::new("/bin/sh");
        let script = format!("{commands}; exec \"$0\" \"$@\"");
        command
            .args(["-c", &script])
            .arg(worker.get_program())
            .args(worker.get_args())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin");
        self.start(command, claude, &[])
    }

    /// A worker with this variable `PATH`.
    pub(crate) fn worker_with_path(
        &self,
        claude: &Path,
        path: &Path,
        arguments: &[&str],
    ) -> Process {
        let mut command = self.command("worker");
        command.env("PATH", path);
        self.start(command, claude, arguments)
    }

    /// A worker with this variable `PATH` that does not start. Returns its exit code and its output.
    pub(crate) fn worker_that_ends(
        &self,
        claude: &Path,
        path: &Path,
        arguments: &[&str],
    ) -> (i32, String) {
        let mut command = self.command("worker");
        command.env("PATH", path);
        self.complete(&mut command, claude, arguments);
        end(&mut Process::spawn("the worker", command).unwrap())
    }

    /// A worker that is this user. It gets the rig's files, and a keyring of its own with the same key.
    pub(crate) fn worker_as(
        &self,
        user: u32,
        path: &str,
        claude: &Path,
        arguments: &[&str],
    ) -> Process {
        let keyring = self.folder.path().join("keyring");
        let done = |command: &mut Command| assert!(command.status().unwrap().success());
        done(
            Command::new("cp")
                .arg("-r")
                .arg(self.keyring_folder())
                .arg(&keyring),
        );
        let (id, owner) = (user.to_string(), format!("{user}:{user}"));
        done(
            Command::new("chown")
                .args(["-R", &owner])
                .arg(self.folder.path()),
        );
        let worker = self.command_without_keys("worker");
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &id, "--regid", &id, "--clear-groups"])
            .arg(worker.get_program())
            .args(worker.get_args())
            .arg("--keyring")
            .arg(keyring)
            .env_clear()
            .env("PATH", path);
        self.start(command, claude, arguments)
    }

    pub(crate) fn keyring_folder(&self) -> &Path {
        let Keys::Keyring(keyring) = &self.keys else {
            panic!("the variables are those of other programs");
        };
        keyring.folder()
    }

    fn start(&self, mut command: Command, claude: &Path, arguments: &[&str]) -> Process {
        self.complete(&mut command, claude, arguments);
        let mut worker = Process::spawn("the worker", command).unwrap();
        worker
            .wait_for_line(LIMIT, |line| line.starts_with("worker ready").then_some(()))
            .unwrap();
        worker
    }

    fn complete(&self, command: &mut Command, claude: &Path, arguments: &[&str]) {
        let has = |option: &str| arguments.contains(&option);
        // Most tests look at files and processes of a task from outside.
        if !has("--sandbox") {
            command.args(["--sandbox", "off"]);
        }
        if !has("--max-tasks") {
            command.args(["--max-tasks", "2"]);
        }
        if !has("--anthropic-base-url") {
            command.args(["--anthropic-base-url", &self.api.url()]);
        }
        command
            .arg("--claude")
            .arg(claude)
            .arg("--workdir")
            .arg(self.workdir())
            .args(["--api-retries", "0"])
            .args(["--grace-time", "2s"])
            .args(arguments)
            .env("WORKERS_OWN", WORKERS_OWN);
    }

    /// Replaces the key, as if the old one were lost.
    pub(crate) fn replace_key(&self) {
        let Keys::Keyring(keyring) = &self.keys else {
            panic!("the variables are those of other programs");
        };
        fs::remove_file(keyring.file()).unwrap();
        keyring.keys().key_or_create("default").unwrap();
    }

    /// Submits a request, as a JSON file.
    pub(crate) fn submit(&self, task: &str, request: &Value, arguments: &[&str]) -> Process {
        let path = self.folder.path().join(format!("{task}.json"));
        fs::write(&path, request.to_string()).unwrap();
        let mut command = self.command("submit");
        command
            .arg("--request")
            .arg(path)
            .args(["--task-id", task])
            .args(arguments);
        Process::spawn("a submission", command).unwrap()
    }

    /// `claude-tasks ARGUMENTS`, of which the first is the command's name. The environment has a caller's credential.
    pub(crate) fn run(&self, arguments: &[&str]) -> Process {
        let mut command = self.command(arguments[0]);
        command
            .args(&arguments[1..])
            .env("ANTHROPIC_API_KEY", "sk-ant-run")
            .env("RUST_LOG", "error");
        Process::spawn(arguments[0], command).unwrap()
    }

    /// `claude-tasks NAME TASK` without any key.
    pub(crate) fn command_without_keys_for(&self, name: &str, task: &str) -> Process {
        let mut command = self.command_without_keys(name);
        command.arg(task);
        Process::spawn(name, command).unwrap()
    }

    /// `claude-tasks NAME TASK`.
    pub(crate) fn command_for(&self, name: &str, task: &str) -> Process {
        let mut command = self.command(name);
        // Only the answer, without the warning about local keys.
        command.arg(task).env("RUST_LOG", "error");
        Process::spawn(name, command).unwrap()
    }

    /// `claude-tasks NAME TASK` with a keyring of its own.
    pub(crate) fn command_with_keyring_for(
        &self,
        name: &str,
        task: &str,
        keyring: &Keyring,
    ) -> Process {
        let mut command = self.command_without_keys(name);
        command.arg(task).arg("--keyring").arg(keyring.folder());
        Process::spawn(name, command).unwrap()
    }

    /// A shell script in Claude Code's place. It also answers `--version`.
    pub(crate) fn claude(&self, script: &str) -> PathBuf {
        let path = self.folder.path().join("claude");
        let version = r#"[ "$1" = --version ] && { echo "2.1.330 (Claude Code)"; exit 0; }"#;
        fs::write(&path, format!("#!/bin/sh\n{version}\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// `claude-tasks all`, with the options of a worker.
    pub(crate) fn command_for_all(&self, claude: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command_for_api("all");
        self.complete(&mut command, claude, arguments);
        command
    }

    /// `claude-tasks NAME` with the key, without a log of information.
    pub(crate) fn command_for_api(&self, name: &str) -> Command {
        let mut command = self.command(name);
        command.env("RUST_LOG", "warn");
        command
    }

    fn command(&self, name: &str) -> Command {
        let mut command = self.command_without_keys(name);
        match &self.keys {
            Keys::Keyring(keyring) => command.arg("--keyring").arg(keyring.folder()),
            Keys::Variables(variables) => command.envs(variables.iter().cloned()),
        };
        command
    }

    pub(crate) fn command_without_keys(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claude-tasks"));
        command
            .arg(name)
            .args([
                "--address",
                &self.server.address(),
                "--task-queue",
                &self.queue,
            ])
            .env_clear()
            .envs(self.variables.iter().cloned())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command
    }

    /// Sets a variable of all programs.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.push((name, value.into()));
    }

    /// Has workers sign webhooks, and send them to this machine.
    pub(crate) fn enable_webhooks(&mut self) {
        self.set("CLOUDRUN_CALLBACK_SECRET", WEBHOOK_SECRET);
        self.set("CLAUDE_TASKS_WEBHOOK_ALLOW", "127.0.0.1");
    }

    /// Gives all programs a store in a folder. Returns the folder.
    pub(crate) fn use_store(&mut self) -> PathBuf {
        let store = self.folder.path().join("objects");
        self.set("CLAUDE_TASKS_STORE", store.to_str().unwrap());
        store
    }

    /// The folder of a keyring.
    pub(crate) fn keyring(&self) -> &Keyring {
        match &self.keys {
            Keys::Keyring(keyring) => keyring,
            Keys::Variables(_) => panic!("the variables are those of other programs"),
        }
    }

    pub(crate) fn workdir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folders of tasks that exist now.
    pub(crate) fn workspaces(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.workdir().join("tasks")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Waits until the supervisor of the only workspace has ended. A worker that starts while it runs leaves the workspace to a
    /// later sweep.
    pub(crate) async fn supervisor_ended(&self) {
        until("the end of the supervisor", async || {
            let folder = self.workspaces().into_iter().next()?;
            let lock = fs::File::open(folder.join("lock")).unwrap();
            lock.try_lock().is_ok().then_some(())
        })
        .await;
    }

    /// The whole log of a task.
    pub(crate) fn log(&self, task: &str) -> String {
        let mut chunks: Vec<_> = fs::read_dir(self.workdir().join("sessions").join(task))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        chunks.sort();
        chunks
            .iter()
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    }

    /// A client that encrypts and decrypts with the keyring.
    pub(crate) async fn client(&self) -> Client {
        let Keys::Keyring(keyring) = &self.keys else {
            panic!("the variables are those of other programs");
        };
        let options = ConnectOptions::new(self.server.url().parse().unwrap())
            .with_task_queue(&self.queue)
            .with_keyring(keyring.folder())
            .with_identity("a test");
        let client = TaskClient::connect(&options).await.unwrap();
        client.temporal().clone()
    }

    pub(crate) fn queue(&self) -> &str {
        &self.queue
    }

    /// A client without any key.
    pub(crate) async fn raw(&self) -> Raw {
        Raw::connect(&self.server, "default").await
    }

    pub(crate) async fn history(&self, task: &str) -> History {
        self.raw().await.history(task, "").await
    }
}

/// A name that no other test uses.
pub(crate) fn fresh(what: &str) -> String {
    format!("{what}-{}", uuid::Uuid::new_v4().as_simple())
}

/// Waits for the end of a program. Returns its exit code and its output.
pub(crate) fn end(submission: &mut Process) -> (i32, String) {
    let status: ExitStatus = submission.wait(LIMIT).unwrap();
    (status.code().expect("an exit code"), submission.output())
}

/// The last line of a submission with `--json`.
pub(crate) fn task_ended(output: &str) -> Value {
    let mut lines = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ended = lines.rfind(|event| event["subtype"] == "task_ended");
    ended.unwrap_or_else(|| panic!("no task_ended in:\n{output}"))
}

/// Finds a line that contains `text`.
pub(crate) fn says(text: &str) -> impl FnMut(&str) -> Option<()> + '_ {
    move |line| line.contains(text).then_some(())
}

/// Waits for a line with `marker` followed by a process id.
pub(crate) fn announced_pid(submission: &mut Process, marker: &str) -> Pid {
    let pid = submission.wait_for_line(LIMIT, |line| {
        let digits: String = line
            .split_once(marker)?
            .1
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().ok()
    });
    Pid::from_raw(pid.unwrap())
}

pub(crate) fn send(process: &Process, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(process.id()).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}

pub(crate) fn is_alive(pid: Pid) -> bool {
    nix::sys::signal::kill(pid, None) != Err(Errno::ESRCH)
}
