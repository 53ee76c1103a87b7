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
use serde_json::json;
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

impl Service {
    async fn start() -> Self {
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
            ("RUST_LOG", "debug"),
        ] {
            rig.set(name, value);
        }
        let mut worker = rig.worker(&[
            "--sandbox",
            "required",
            "--admin-listen",
            "127.0.0.1:0",
            "--task-readable",
            gates.to_str().unwrap(),
        ]);
        let admin = worker.wait_for_line(LIMIT, |line| {
            line.strip_prefix("admin listening on ").map(str::to_owned)
        });
        let api = rig.api();
        let key = repository.key().lines().nth(2).unwrap().to_owned();
        Self {
            admin: admin.unwrap(),
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

    fn submit(&self) {
        let tool = json!({"command": hold(&self.gate("run"))});
        let mut request = self.repository.fields();
        for (field, value) in [
            ("taskId", json!(self.task)),
            ("prompt", json!(format!("Wait [[tool:Bash {tool}]]"))),
            ("anthropicApiKey", json!(self.credential)),
            ("callbackUrl", json!(self.receiver.url())),
            ("allowedTools", json!(["Bash"])),
            ("environmentSecrets", json!({"DEPLOY_TOKEN": self.variable})),
            ("preExecutionCommands", json!(["echo changed > made.txt"])),
        ] {
            request[field] = value;
        }
        let answer = self.api.post("/run-async", &request);
        assert_eq!(answer.status, 202, "{}", answer.text);
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

    /// Logs, telemetry and what Temporal tells never hold a secret.
    async fn assert_told_nowhere(&self) {
        let raw = self.rig.raw().await;
        let mut list = self.rig.server.cli();
        let listed = list
            .args(["workflow", "list", "-o", "json"])
            .output()
            .unwrap();
        let metrics = ureq::get(format!("{}/metrics", self.admin)).call().unwrap();
        let sent = self.collector.seen.lock().clone();
        assert!(!sent.is_empty(), "the collector got nothing");
        let secrets = [&*self.credential, &self.variable, &self.key];
        for (place, bytes) in [
            (
                "the history",
                raw.history(&self.task, "").await.encode_to_vec(),
            ),
            (
                "the description",
                raw.describe(&self.task).await.encode_to_vec(),
            ),
            ("the list of workflows", listed.stdout),
            ("the worker's log", self.worker.output().into_bytes()),
            ("the API's log", self.api.process.output().into_bytes()),
            (
                "Temporal's log",
                self.rig.server.process().output().into_bytes(),
            ),
            ("the metrics", metrics.into_body().read_to_vec().unwrap()),
            ("the telemetry", sent),
        ] {
            assert_absent(place, &bytes, &secrets);
        }
    }
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
    let service = Service::start().await;
    service.submit();
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
    let of_task = service.worker.descendants();
    let having = environments_with(variable);
    assert!(!having.is_empty());
    assert!(having.iter().all(|pid| of_task.contains(pid)), "{having:?}");
    service.assert_told_nowhere().await;

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
    service.assert_told_nowhere().await;
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
