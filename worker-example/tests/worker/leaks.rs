//! Where the secrets of a task are while it runs and after it: files, processes, their memory, Temporal, logs and telemetry.

use crate::{
    api::support::Api,
    store::files,
    support::{
        LIMIT, Rig, fresh,
        processes::{environments_with, hold, holding, name_of},
        repository::SshRepository,
        scripted::Scripted,
        send,
        sink::Sink,
    },
};
use dev_servers::{Forms, Process, TemporalOptions, WebhookReceiver, memory_holds};
use integration_tests::{assert_absent, until};
use nix::{errno::Errno, sys::signal::Signal, unistd::Uid};
use prost::Message as _;
use serde_json::{Value, json};
use std::{fs, io, os::unix::process::ExitStatusExt as _, path::PathBuf};
use tempfile::TempDir;

/// The programs of a service, and a task with three kinds of secrets.
struct Service {
    rig: Rig,
    /// The folder of Temporal's database.
    data: TempDir,
    objects: PathBuf,
    repository: SshRepository,
    receiver: WebhookReceiver,
    collector: Sink,
    worker: Process,
    admin: String,
    api: Api,
    task: String,
    credential: String,
    variable: String,
    /// A line of the key of the repository.
    key: String,
}

/// The levels of the log, from the least detailed one.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

impl Service {
    /// A service that logs at this level.
    async fn start(level: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let options = TemporalOptions {
            database: Some(data.path().join("temporal.db")),
            ..TemporalOptions::default()
        };
        let mut rig = Rig::with_server(options).await;
        let gates = rig.folder.path().join("gates");
        fs::create_dir(&gates).unwrap();
        for gate in ["run", "push"] {
            fs::write(gates.join(gate), "").unwrap();
        }
        let objects = rig.use_store();
        let repository = SshRepository::of(&mut rig);
        repository.before_push(&hold(&gates.join("push")));
        rig.enable_webhooks();
        let (receiver, collector) = (WebhookReceiver::start(&[]).unwrap(), Sink::start());
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url().as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
        ] {
            rig.set(name, value);
        }
        let (worker, admin, api) = programs(&mut rig, level);
        let key = repository.key().lines().nth(2).unwrap().to_owned();
        Self {
            admin,
            data,
            objects,
            repository,
            receiver,
            collector,
            worker,
            api,
            rig,
            task: fresh("task"),
            // Characters that JSON, URLs and base64 write in other ways.
            credential: format!("{}\"+/=&%?>~", fresh("sk-ant")),
            variable: format!("{}+/=&%?>~", fresh("deploy")),
            key,
        }
    }

    fn gate(&self, name: &str) -> PathBuf {
        self.rig.folder.path().join("gates").join(name)
    }

    /// Ends the worker and the API. What they have logged until then holds no secret.
    fn stop(&mut self) {
        self.worker.stop();
        self.api.process.stop();
        for process in [&self.worker, &self.api.process] {
            self.assert_without_secrets("a log", process.output().as_bytes());
        }
    }

    /// Starts the worker and the API again, which log at this level.
    fn start_again(&mut self, level: &str) {
        (self.worker, self.admin, self.api) = programs(&mut self.rig, level);
    }

    /// A task that changes its repository.
    fn request(&self, task: &str) -> Value {
        let tool = json!({"command": hold(&self.gate("run"))});
        let mut request = self.repository.fields();
        for (field, value) in [
            ("taskId", json!(task)),
            ("prompt", json!(format!("Wait [[tool:Bash {tool}]]"))),
            ("anthropicApiKey", json!(self.credential)),
            ("callbackUrl", json!(self.receiver.url())),
            ("allowedTools", json!(["Bash"])),
            ("environmentSecrets", json!({"DEPLOY_TOKEN": self.variable})),
            (
                "preExecutionCommands",
                json!([format!("echo {task} > made.txt")]),
            ),
        ] {
            request[field] = value;
        }
        request
    }

    /// A task that fails because the API refuses its credential.
    fn refused_request(&self, task: &str) -> Value {
        let mut request = self.request(task);
        request["prompt"] = json!("Say hello [[status:401]]");
        request
            .as_object_mut()
            .unwrap()
            .remove("postExecutionActions");
        request
    }

    /// A task that fails before Claude Code starts, with a secret in what its command prints.
    fn failing_request(&self, task: &str) -> Value {
        let mut request = self.request(task);
        request["preExecutionCommands"] = json!(["echo no $DEPLOY_TOKEN >&2; exit 7"]);
        request
    }

    fn submit(&self, request: &Value) {
        let answer = self.api.post("/run-async", request);
        assert_eq!(answer.status, 202, "{}", answer.text);
    }

    /// Waits for the webhook of a task.
    async fn webhook(&self, task: &str) -> Value {
        until("the webhook", async || {
            let mut accepted = self.receiver.accepted().into_iter();
            accepted.find(|webhook| webhook["taskId"] == task)
        })
        .await
    }

    /// Waits until a shell waits for this gate.
    async fn until_waiting(&self, gate: &str) {
        let gate = self.gate(gate);
        until("the task waits", async || {
            (!holding(&gate).is_empty()).then_some(())
        })
        .await;
    }

    /// The files of the service that hold a secret, in any form.
    fn files_with(&self, secret: &str) -> Vec<PathBuf> {
        let folders = [self.data.path(), &self.objects, &self.rig.workdir()];
        let mut found: Vec<PathBuf> = folders.iter().flat_map(|folder| files(folder)).collect();
        let forms = Forms::of(secret.as_bytes());
        found.retain(|file| {
            // A file can disappear meanwhile, and a socket cannot be read.
            let bytes = fs::read(file).unwrap_or_default();
            forms.find_in(&bytes).is_some()
        });
        found
    }

    /// The processes of the service whose memory holds a secret, with their names. The worker is not among them.
    fn memories_with(&self, secret: &str) -> Vec<String> {
        let servers = [&self.api.process, self.rig.server.process()];
        let servers = servers.map(|server| i32::try_from(server.id()).unwrap());
        let all = servers.into_iter().chain(self.worker.descendants());
        all.filter_map(|pid| {
            let form = held_by(pid, secret)?;
            Some(format!("{} ({pid}): {form}", name_of(pid)))
        })
        .collect()
    }

    /// Whether the memory of the worker holds a secret. Only root can read it, so another user learns nothing here.
    fn worker_holds(&self, secret: &str) -> Option<bool> {
        match memory_holds(self.worker.id(), secret.as_bytes()) {
            Ok(found) => Some(found.is_some()),
            Err(error) if is_closed(&error) => None,
            Err(error) => panic!("the worker's memory: {error}"),
        }
    }

    fn assert_without_secrets(&self, place: &str, bytes: &[u8]) {
        assert_absent(
            place,
            bytes,
            &[&*self.credential, &self.variable, &self.key],
        );
    }

    /// Logs, telemetry and what Temporal tells of tasks never hold a secret.
    async fn assert_told_nowhere(&self, tasks: &[&str]) {
        let raw = self.rig.raw().await;
        let mut list = self.rig.server.cli();
        let listed = list
            .args(["workflow", "list", "-o", "json"])
            .output()
            .unwrap();
        let metrics = ureq::get(format!("{}/metrics", self.admin)).call().unwrap();
        let sent = self.collector.seen.lock().clone();
        assert!(!sent.is_empty(), "the collector got nothing");
        let mut told = vec![
            ("the list of workflows", listed.stdout),
            ("the worker's log", self.worker.output().into_bytes()),
            ("the API's log", self.api.process.output().into_bytes()),
            (
                "Temporal's log",
                self.rig.server.process().output().into_bytes(),
            ),
            ("the metrics", metrics.into_body().read_to_vec().unwrap()),
            ("the telemetry", sent),
        ];
        for task in tasks {
            told.push(("the history", raw.history(task, "").await.encode_to_vec()));
            told.push(("the description", raw.describe(task).await.encode_to_vec()));
        }
        for (place, bytes) in told {
            self.assert_without_secrets(place, &bytes);
        }
    }
}

/// The worker, where its health and metrics are, and the API. Both log at this level.
fn programs(rig: &mut Rig, level: &str) -> (Process, String, Api) {
    rig.set("RUST_LOG", level);
    let gates = rig.folder.path().join("gates");
    let mut worker = rig.worker(&[
        "--sandbox",
        "required",
        "--max-tasks",
        "3",
        "--admin-listen",
        "127.0.0.1:0",
        "--task-readable",
        gates.to_str().unwrap(),
    ]);
    let admin = worker.wait_for_line(LIMIT, |line| {
        line.strip_prefix("admin listening on ").map(str::to_owned)
    });
    let mut api = rig.command_for_api("api");
    api.env("RUST_LOG", level);
    (worker, admin.unwrap(), rig.api_of(api, ""))
}

/// The form in which the memory of a process holds a secret. `None` also for a process that has ended, and for our own programs
/// where the test is not root: nobody else can read their memory.
fn held_by(pid: i32, secret: &str) -> Option<&'static str> {
    let found = memory_holds(u32::try_from(pid).unwrap(), secret.as_bytes());
    found.unwrap_or_else(|error| {
        let has_ended = error.kind() == io::ErrorKind::NotFound
            || error.raw_os_error() == Some(Errno::ESRCH as i32);
        let is_ours = is_closed(&error) && name_of(pid) == "claude-tasks";
        assert!(has_ended || is_ours, "the memory of {pid}: {error}");
        None
    })
}

fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && !Uid::effective().is_root()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_where_they_are_needed_and_nowhere_after_the_task() {
    let service = Service::start("debug").await;
    service.submit(&service.request(&service.task));
    service.until_waiting("run").await;
    // The search finds what is there.
    assert_ne!(service.worker_holds(&service.credential), Some(false));
    for secret in [&service.credential, &service.key] {
        assert_eq!(service.files_with(secret), Vec::<PathBuf>::new());
        assert_eq!(environments_with(secret), Vec::<i32>::new());
        assert_eq!(service.memories_with(secret), Vec::<String>::new());
    }
    let workspaces = service.rig.workspaces();
    assert_eq!(workspaces.len(), 1);
    let workspace = &workspaces[0];
    let variable = &service.variable;
    assert_eq!(
        service.files_with(variable),
        [workspace.join("workspace/.env")]
    );
    // Processes of the task begin and end meanwhile.
    let mut of_task = service.worker.descendants();
    let having = environments_with(variable);
    of_task.extend(service.worker.descendants());
    assert!(!having.is_empty());
    assert!(having.iter().all(|pid| of_task.contains(pid)), "{having:?}");
    service.assert_told_nowhere(&[&service.task]).await;

    fs::remove_file(service.gate("run")).unwrap();
    service.until_waiting("push").await;
    // git and ssh run now, and no program of the task.
    assert!(
        service
            .worker
            .descendants()
            .iter()
            .any(|pid| name_of(*pid) == "ssh")
    );
    assert_eq!(
        service.files_with(&service.key),
        [workspace.join("git/ssh/key")]
    );
    assert_eq!(environments_with(&service.key), Vec::<i32>::new());
    for secret in [&service.credential, variable] {
        assert_eq!(environments_with(secret), Vec::<i32>::new());
        assert_eq!(service.memories_with(secret), Vec::<String>::new());
    }

    fs::remove_file(service.gate("push")).unwrap();
    let webhook = until("the webhook", async || service.receiver.accepted().pop()).await;
    assert_eq!(
        webhook["status"],
        "completed",
        "{webhook}\n{}",
        service.worker.output()
    );
    assert_eq!(webhook["gitCommit"]["pushed"], true, "{webhook}");
    for secret in [&service.credential, variable, &service.key] {
        assert_absent("the webhook", webhook.to_string().as_bytes(), &[secret]);
        assert_eq!(service.files_with(secret), Vec::<PathBuf>::new());
        assert_eq!(environments_with(secret), Vec::<i32>::new());
        assert_eq!(service.memories_with(secret), Vec::<String>::new());
        until("the worker has forgotten the secrets", async || {
            (service.worker_holds(secret) != Some(true)).then_some(())
        })
        .await;
    }
    service.assert_told_nowhere(&[&service.task]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_output_holds_a_secret_at_any_level_of_the_log() {
    let mut service = Service::start(LEVELS[0]).await;
    for gate in ["run", "push"] {
        fs::remove_file(service.gate(gate)).unwrap();
    }
    for level in LEVELS {
        if level != LEVELS[0] {
            service.start_again(level);
        }
        let [done, refused, failing] = ["done", "refused", "failing"].map(fresh);
        // Side by side.
        service.submit(&service.request(&done));
        service.submit(&service.refused_request(&refused));
        service.submit(&service.failing_request(&failing));
        for (task, status, says) in [
            (&done, "completed", ""),
            (&refused, "failed", "the API answered 401"),
            (&failing, "failed", "preExecutionCommands"),
        ] {
            let webhook = service.webhook(task).await;
            assert_eq!(webhook["status"], status, "{level}: {webhook}");
            let error = webhook["error"].as_str().unwrap_or_default();
            assert!(error.contains(says), "{level}: {webhook}");
            service.assert_without_secrets("the webhook", webhook.to_string().as_bytes());
        }
        let log = service.worker.output();
        assert!(
            log.contains("admin listening on "),
            "{level}: the beginning of the log is lost"
        );
        for (name, levels) in [("DEBUG", &LEVELS[3..]), ("TRACE", &LEVELS[4..])] {
            assert_eq!(
                log.contains(&format!(" {name} ")),
                levels.contains(&level),
                "{level}: {name}"
            );
        }
        let tasks = [&*done, &*refused, &*failing];
        service.assert_told_nowhere(&tasks).await;
        service.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_worker_writes_no_core() {
    let scripted = Scripted::new().await;
    let folder = scripted.rig.folder.path().join("cores");
    fs::create_dir(&folder).unwrap();
    let allow = format!("ulimit -c unlimited; cd {}", folder.display());
    let mut worker = scripted.rig.worker_after(&scripted.claude(), &allow);
    let mut running = scripted.submit(&fresh("task"), "wait");
    scripted.until_runs(1).await;
    let programs = worker.descendants();
    let names: Vec<String> = programs.iter().map(|pid| name_of(*pid)).collect();
    assert!(names.contains(&"claude".to_owned()), "{names:?}");
    let pid = i32::try_from(worker.id()).unwrap();
    for pid in programs.into_iter().chain([pid]) {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let mut lines = limits
            .lines()
            .filter(|line| line.starts_with("Max core file size"));
        let limit = lines
            .next()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        if let Some(limit) = limit {
            assert_eq!(limit[4..6], ["0", "0"], "{}", name_of(pid));
        }
    }
    send(&worker, Signal::SIGABRT);
    let status = worker.wait(LIMIT).unwrap();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
    assert_eq!(files(&folder), Vec::<PathBuf>::new());
    scripted.open_gate();
    running.stop();
}
