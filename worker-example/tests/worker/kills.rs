//! Each part of the service is killed at each step of a task. The task ends in a told state, exactly one webhook is accepted,
//! and nothing is left.
//!
//! Every run of the tests kills some of them. `cargo xtask test --long` kills every row of the table.

use crate::{
    store::files,
    support::{
        RESULT, Rig, fresh, own_temporal,
        processes::{hold, holding, name_of, processes_with},
        repository::SshRepository,
        send,
    },
};
use dev_servers::{Process, TemporalOptions, WebhookReceiver, free_port};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    runtime::Runtime,
    time::{Instant, sleep},
};

/// Longer than Temporal takes to give up a lost worker at two steps.
const LIMIT: Duration = Duration::from_mins(5);
/// How many files the clean-up removes, so that it can be killed in between.
const MANY: usize = 60_000;
/// How many rows run at the same time.
const AT_A_TIME: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Api,
    Worker,
    /// The program of the step: a command of the request, Claude Code, or git.
    Program,
    /// The connection of the proxy to the API. The proxy itself is a part of the worker.
    Proxy,
    Supervisor,
    Temporal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Prepare,
    Run,
    Actions,
    CleanUp,
    Webhook,
}

/// One row: who is killed at which step, how the task ends, and what its state says.
#[derive(Clone, Copy, Debug)]
struct Row {
    victim: Victim,
    step: Step,
    status: &'static str,
    says: &'static str,
}

const fn row(victim: Victim, step: Step, status: &'static str, says: &'static str) -> Row {
    Row {
        victim,
        step,
        status,
        says,
    }
}

const TABLE: [Row; 22] = [
    row(Victim::Api, Step::Prepare, "completed", r#""pushed":true"#),
    row(Victim::Api, Step::Run, "completed", r#""pushed":true"#),
    row(Victim::Api, Step::Actions, "completed", r#""pushed":true"#),
    row(Victim::Api, Step::CleanUp, "completed", ""),
    row(Victim::Api, Step::Webhook, "completed", r#""pushed":true"#),
    row(
        Victim::Worker,
        Step::Prepare,
        "completed",
        r#""pushed":true"#,
    ),
    row(
        Victim::Worker,
        Step::Run,
        "failed",
        "the worker was lost while the task ran",
    ),
    row(
        Victim::Worker,
        Step::Actions,
        "completed",
        "the post-execution actions did not end",
    ),
    row(Victim::Worker, Step::CleanUp, "completed", ""),
    row(
        Victim::Worker,
        Step::Webhook,
        "completed",
        r#""pushed":true"#,
    ),
    row(
        Victim::Program,
        Step::Prepare,
        "failed",
        "preExecutionCommands",
    ),
    row(Victim::Program, Step::Run, "failed", "exit code 137"),
    row(Victim::Program, Step::Actions, "completed", "cannot push"),
    row(Victim::Proxy, Step::Run, "failed", "exit code 7"),
    row(
        Victim::Supervisor,
        Step::Prepare,
        "failed",
        "preExecutionCommands",
    ),
    row(Victim::Supervisor, Step::Run, "failed", "exit code 137"),
    row(
        Victim::Supervisor,
        Step::Actions,
        "completed",
        "cannot push",
    ),
    row(
        Victim::Temporal,
        Step::Prepare,
        "completed",
        r#""pushed":true"#,
    ),
    row(Victim::Temporal, Step::Run, "completed", r#""pushed":true"#),
    row(
        Victim::Temporal,
        Step::Actions,
        "completed",
        r#""pushed":true"#,
    ),
    row(Victim::Temporal, Step::CleanUp, "completed", ""),
    row(
        Victim::Temporal,
        Step::Webhook,
        "completed",
        r#""pushed":true"#,
    ),
];

/// The rows of every run of the tests. They end within seconds. A lost worker is noticed and cleaned up after minutes.
const OFTEN: [(Victim, Step); 5] = [
    (Victim::Api, Step::Run),
    (Victim::Program, Step::Prepare),
    (Victim::Proxy, Step::Run),
    (Victim::Supervisor, Step::Run),
    (Victim::Temporal, Step::Actions),
];

#[test]
fn a_kill_at_any_step_ends_the_task_once_and_leaves_nothing() {
    let all = std::env::var("KILLS").is_ok_and(|kills| kills == "all");
    let rows: Vec<Row> = TABLE
        .into_iter()
        .filter(|row| all || OFTEN.contains(&(row.victim, row.step)))
        .collect();
    assert!(rows.len() >= OFTEN.len());
    let (waiting, bad) = (Mutex::new(rows), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(row) = waiting.lock().pop() else {
                        return;
                    };
                    let ended = thread::spawn(move || Runtime::new().unwrap().block_on(run(row)));
                    let is_good = ended.join().is_ok();
                    eprintln!("{:?} at {:?}: {is_good}", row.victim, row.step);
                    if !is_good {
                        bad.lock().push(row);
                    }
                }
            });
        }
    });
    assert!(bad.lock().is_empty(), "{bad:#?}");
}

async fn run(row: Row) {
    let mut stage = Stage::new(row).await;
    let mut worker = stage.worker();
    let mut api = stage.rig.api();
    let task = fresh("task");
    let path = format!("/tasks/{task}");
    assert_eq!(api.post("/run-async", &stage.request(&task)).status, 202);
    stage.until_reached().await;

    match row.victim {
        Victim::Api => {
            send(&api.process, Signal::SIGKILL);
            api.process.wait(LIMIT).unwrap();
            api = stage.rig.api();
        }
        Victim::Worker => {
            send(&worker, Signal::SIGKILL);
            worker.wait(LIMIT).unwrap();
            worker = stage.worker();
        }
        Victim::Temporal => stage.restart_temporal().await,
        // The upstream ends the connection when its gate opens.
        Victim::Proxy => {}
        Victim::Program | Victim::Supervisor => {
            for pid in stage.victims(&worker) {
                kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
            }
        }
    }
    stage.open_gate();

    let end = eventually("the end", async || {
        let shown = api.get(&path).json;
        matches!(
            shown["status"].as_str(),
            Some("completed" | "failed" | "cancelled")
        )
        .then_some(shown)
    })
    .await;
    assert_eq!(
        end["status"],
        row.status,
        "{row:?}: {end}\n{}",
        worker.output()
    );
    assert!(end.to_string().contains(row.says), "{row:?}: {end}");
    stage.until_told(&task, row.status).await;
    stage.until_nothing_is_left().await;
}

/// What one row needs.
struct Stage {
    row: Row,
    rig: Rig,
    repository: SshRepository,
    receiver: WebhookReceiver,
    objects: PathBuf,
    gate: PathBuf,
    upstream: Option<Upstream>,
    temporal: Option<(TempDir, TemporalOptions)>,
}

impl Stage {
    async fn new(row: Row) -> Self {
        let (mut rig, temporal) = if row.victim == Victim::Temporal {
            let folder = tempfile::tempdir().unwrap();
            let options = TemporalOptions {
                database: Some(folder.path().join("temporal.db")),
                port: Some(free_port().unwrap()),
                ..TemporalOptions::default()
            };
            let rig = Rig::with_server(options.clone()).await;
            (rig, Some((folder, options)))
        } else {
            (Rig::new().await, None)
        };
        let gates = rig.folder.path().join("gates");
        fs::create_dir(&gates).unwrap();
        let gate = gates.join(format!("{:?}", row.step));
        fs::write(&gate, "").unwrap();
        let objects = rig.use_store();
        let repository = SshRepository::of(&mut rig);
        repository.before_push(&hold(&gates.join("Actions")));
        rig.enable_webhooks();
        let upstream = (row.victim == Victim::Proxy).then(|| Upstream::start(gate.clone()));
        Self {
            row,
            receiver: WebhookReceiver::start_held(&[], gates.join("Webhook")).unwrap(),
            rig,
            repository,
            objects,
            gate,
            upstream,
            temporal,
        }
    }

    fn gates(&self) -> &Path {
        self.gate.parent().unwrap()
    }

    fn worker(&self) -> Process {
        let call = r#"curl -sS -N -o /dev/null --unix-socket "$ANTHROPIC_UNIX_SOCKET" -H "x-api-key: $ANTHROPIC_API_KEY" \
            -d '{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}]}' \
            http://localhost/v1/messages || exit 7"#;
        let many = format!("(mkdir $HOME/many && cd $HOME/many && seq {MANY} | xargs touch)");
        let claude = self.rig.claude(&format!(
            "cat > /dev/null; {}; [ -e src ] && echo changed > src/README\n{}\necho '{RESULT}'",
            if self.row.step == Step::CleanUp {
                &many
            } else {
                "true"
            },
            match self.row.victim {
                Victim::Proxy => call.to_owned(),
                _ => hold(&self.gates().join("Run")),
            },
        ));
        let gates = self.gates().to_str().unwrap();
        let mut arguments = vec![
            "--sandbox",
            "required",
            "--task-readable",
            gates,
            "--max-tasks",
            "1",
        ];
        if let Some(upstream) = &self.upstream {
            arguments.extend(["--anthropic-base-url", &upstream.url]);
        }
        self.rig.worker_with(&claude, &arguments)
    }

    fn request(&self, task: &str) -> Value {
        let mut request = if self.row.step == Step::CleanUp {
            // The files that are removed would make git slow.
            json!({})
        } else {
            self.repository.fields()
        };
        for (field, value) in [
            ("taskId", json!(task)),
            ("prompt", json!("go")),
            ("anthropicApiKey", json!("sk-ant-kills")),
            ("callbackUrl", json!(self.receiver.url())),
            (
                "preExecutionCommands",
                json!([hold(&self.gates().join("Prepare"))]),
            ),
        ] {
            request[field] = value;
        }
        request
    }

    /// Waits until the task is at the step of the row.
    async fn until_reached(&self) {
        let what = format!("{:?} is reached", self.row.step);
        eventually(&what, async || {
            let is_there = match (&self.upstream, self.row.step) {
                (Some(upstream), _) => upstream.has_call.load(Ordering::SeqCst),
                (None, Step::Webhook) => self.receiver.arrived() > 0,
                (None, Step::CleanUp) => self.is_being_removed(),
                (None, _) => !holding(&self.gate).is_empty(),
            };
            is_there.then_some(())
        })
        .await;
    }

    /// Whether the clean-up has removed some of the task's files. This may be seen only after the last one.
    fn is_being_removed(&self) -> bool {
        let folders = self.rig.workspaces();
        let made = self.rig.folder.path().join("made");
        match folders.first() {
            Some(folder) => {
                let left = fs::read_dir(folder.join("home/many")).map_or(0, Iterator::count);
                if left == MANY {
                    fs::write(&made, "").unwrap();
                }
                made.exists() && left < MANY
            }
            None => made.exists(),
        }
    }

    /// The processes of the victim.
    fn victims(&self, worker: &Process) -> Vec<i32> {
        let mut found = match (self.row.victim, self.row.step) {
            (Victim::Program, Step::Prepare) => holding(&self.gate),
            _ => worker.descendants(),
        };
        found.retain(|pid| match (self.row.victim, self.row.step) {
            (Victim::Supervisor, _) => is_supervisor(*pid),
            (_, Step::Run) => name_of(*pid) == "claude",
            (_, Step::Actions) => name_of(*pid) == "git",
            _ => true,
        });
        assert!(!found.is_empty(), "{:?}", self.row);
        found
    }

    async fn restart_temporal(&mut self) {
        let (_, options) = self.temporal.as_ref().unwrap();
        send(self.rig.server.process(), Signal::SIGKILL);
        self.rig.server = own_temporal(options.clone()).await;
    }

    fn open_gate(&self) {
        fs::remove_file(&self.gate).unwrap();
    }

    /// Waits until the receiver has accepted a webhook and no further one can come.
    async fn until_told(&self, task: &str, status: &str) {
        let delivery = format!("{task}.webhook");
        eventually("the delivery has ended", async || {
            let found = self.rig.raw().await.find(&delivery).await?;
            found.workflow_execution_info?.close_time.map(drop)
        })
        .await;
        let accepted = self.receiver.accepted();
        assert_eq!(accepted.len(), 1, "{:?}: {accepted:?}", self.row);
        assert_eq!(
            (&accepted[0]["taskId"], &accepted[0]["status"]),
            (&json!(task), &json!(status))
        );
    }

    async fn until_nothing_is_left(&self) {
        let gates = self.gates().to_str().unwrap().to_owned();
        let workdir = self.rig.workdir();
        eventually("nothing is left", async || {
            let folders = ["tasks", "abandoned", "run"];
            let left = folders.iter().any(|folder| {
                fs::read_dir(workdir.join(folder)).is_ok_and(|mut entries| entries.next().is_some())
            });
            let secrets = files(&self.objects.join("encrypted-payloads"));
            let is_clean = !left && secrets.is_empty() && programs_with(&gates).is_empty();
            is_clean.then_some(())
        })
        .await;
    }
}

/// Programs of tasks. The worker has the folder in its arguments, too.
fn programs_with(text: &str) -> Vec<i32> {
    let mut found: Vec<i32> = processes_with(text).into_iter().map(Pid::as_raw).collect();
    found.retain(|pid| name_of(*pid) != "claude-tasks");
    found
}

fn is_supervisor(pid: i32) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.split(|byte| *byte == 0).nth(1) == Some(b"supervise")
}

/// An API that begins to answer, and cuts the connection when its gate opens.
struct Upstream {
    url: String,
    has_call: Arc<AtomicBool>,
}

impl Upstream {
    fn start(gate: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let has_call = Arc::<AtomicBool>::default();
        let called = Arc::clone(&has_call);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let connection = connection.unwrap();
                let mut line = String::new();
                let mut reader = BufReader::new(&connection);
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {}
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                (&connection).write_all(head.as_bytes()).unwrap();
                (&connection).write_all(b"6\r\n: on\n\n\r\n").unwrap();
                called.store(true, Ordering::SeqCst);
                while gate.exists() {
                    thread::sleep(Duration::from_millis(20));
                }
            }
        });
        Self { url, has_call }
    }
}

/// As `until`, for what takes Temporal's timeouts.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        sleep(Duration::from_millis(20)).await;
    }
}
