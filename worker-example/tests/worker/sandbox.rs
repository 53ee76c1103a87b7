//! The sandbox of tasks. Hostile shell scripts in Claude Code's place try to leave it, with real kernels, processes and
//! ports.

use crate::support::{
    RESULT, Rig, announced_pid, end, fresh, processes::processes_with, send, task_ended,
};
use dev_servers::Process;
use integration_tests::until;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

const SANDBOX: [&str; 2] = ["--sandbox", "required"];
const CREDENTIAL: &str = "sk-ant-sandbox-credential";

fn request() -> Value {
    json!({"prompt": "p", "anthropicApiKey": CREDENTIAL})
}

/// Runs a script in the sandbox. Returns the submission's exit code, its output, and the task's log.
async fn run(script: &str, options: &[&str]) -> (i32, String, String) {
    let rig = Rig::new().await;
    let worker = [&SANDBOX[..], options].concat();
    let _worker = rig.worker_with(&rig.claude(script), &worker);
    let task = fresh("task");
    let (code, output) = end(&mut rig.submit(&task, &request(), &["--json"]));
    assert_eq!(rig.workspaces(), Vec::<PathBuf>::new());
    (code, output, rig.log(&task))
}

/// The text lines of a log.
fn texts(log: &str) -> Vec<String> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|event| Some(event["content"].as_str()?.to_owned()))
        .collect()
}

/// A text that marks the processes of one test, as the argument of a program that only sleeps.
fn marker() -> String {
    format!("100000.{}", uuid::Uuid::new_v4().as_u128())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_sees_only_its_own() {
    let rig = Rig::new().await;
    let keyring = rig.keyring_folder();
    let other = rig.workdir().join("sessions");
    let script = format!(
        "cat > /dev/null
         echo user=$(id -u) groups=$(id -G)
         echo here=$(pwd) home=$HOME
         for path in {} {} {} /etc/shadow /etc/ssh /root /home /sys /run/dbus /var/run/docker.sock {}; do
           [ -e \"$path\" ] && echo visible=$path
         done
         for path in /usr/x /etc/x /x /dev/x {}/x; do (: > $path) 2>/dev/null && echo written=$path; done
         (: > x) && (: > $HOME/x) && (: > $TMPDIR/x) && (: > /tmp/x) && echo own folders are writable
         echo tasks=$(ls {}/tasks)
         echo processes=$(ls /proc | grep -c '^[0-9]')
         cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c -e worker-secret -e {CREDENTIAL}
         echo '{RESULT}'",
        keyring.display(),
        other.display(),
        rig.folder.path().join("data/tasks.lock").display(),
        env!("CARGO_MANIFEST_DIR"),
        rig.workdir().display(),
        rig.workdir().display(),
    );
    let _worker = rig.worker_with(&rig.claude(&script), &SANDBOX);
    let task = fresh("task");
    let (code, output) = end(&mut rig.submit(&task, &request(), &["--json"]));
    let log = rig.log(&task);
    assert_eq!(code, 0, "{output}\n{log}");
    let lines = texts(&log);
    let starting = |start: &str| -> Vec<&String> {
        lines
            .iter()
            .filter(|line| line.starts_with(start))
            .collect()
    };
    assert!(starting("visible=").is_empty(), "{lines:?}");
    assert!(starting("written=").is_empty(), "{lines:?}");
    assert!(
        lines.contains(&"own folders are writable".to_owned()),
        "{lines:?}"
    );
    assert!(lines.contains(&"0".to_owned()), "{lines:?}");
    let user = starting("user=")[0];
    if Uid::effective().is_root() {
        assert!(
            user.starts_with("user=58") || user.starts_with("user=59"),
            "{user}"
        );
    }
    let (own, all) = (starting("tasks="), starting("processes="));
    assert!(own[0].starts_with(&format!("tasks={task}.")), "{own:?}");
    assert!(!own[0].contains(' '), "{own:?}");
    // Bubblewrap's init process, the shell, and its commands.
    let count: u32 = all[0].trim_start_matches("processes=").parse().unwrap();
    assert!(count < 8, "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_fork_bomb() {
    let marker = marker();
    let script = format!(
        "cat > /dev/null
         bomb() {{ bomb & bomb & sleep {marker}; }}
         bomb 2>/dev/null &
         n=0; while [ $n -lt 2000 ]; do n=$((n + 1)); done
         echo '{RESULT}'"
    );
    let (_, _, _) = run(&script, &["--task-processes", "64"]).await;
    assert_eq!(processes_with(&marker), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_has_no_more_processes_than_allowed() {
    let script = format!(
        "cat > /dev/null
         i=0; while [ $i -lt 100 ]; do sleep 100 2>/dev/null & i=$((i + 1)); done 2>/dev/null
         echo '{RESULT}'"
    );
    let counting = format!(
        "cat > /dev/null
         (i=0; while [ $i -lt 100 ]; do sleep 100 & i=$((i + 1)); done) 2>/dev/null
         echo count=$(ls /proc | grep -c '^[0-9]') 2>/dev/null
         echo '{RESULT}'"
    );
    // dash gives up when it cannot fork, so the count is that of a shell that went on.
    let (_, _, log) = run(&counting, &[]).await;
    assert!(
        texts(&log).iter().any(|line| line.starts_with("count=1")),
        "{log}"
    );
    let (code, output, log) = run(&script, &["--task-processes", "32"]).await;
    assert_eq!(code, 1, "{output} {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_cannot_kill_what_supervises_it_and_leaves_nothing() {
    let marker = marker();
    let script = format!(
        "cat > /dev/null
         setsid sh -c 'trap \"\" TERM HUP INT; (sleep {marker} & sleep {marker}) & exec sleep {marker}' &
         kill -9 $PPID 2>/dev/null; kill -9 -1 2>/dev/null
         echo still here
         echo '{RESULT}'"
    );
    let (code, output, log) = run(&script, &[]).await;
    // `kill -1` kills all that the task can see, apart from the shell itself.
    assert_eq!(code, 0, "{output} {log}");
    assert!(texts(&log).contains(&"still here".to_owned()), "{log}");
    assert_eq!(processes_with(&marker), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_may_clean_up_in_the_sandbox() {
    let rig = Rig::new().await;
    let script = "cat > /dev/null; trap 'echo cleaned up; exit 143' TERM
        echo ready; while :; do sleep 0.1; done";
    let _worker = rig.worker_with(&rig.claude(script), &SANDBOX);
    let task = fresh("task");
    let mut submission = rig.submit(&task, &request(), &["--json"]);
    submission
        .wait_for_line(crate::support::LIMIT, crate::support::says("ready"))
        .unwrap();
    let (code, output) = end(&mut rig.command_for("cancel", &task));
    assert_eq!(code, 0, "{output}");
    assert_eq!(end(&mut submission).0, 130);
    assert!(texts(&rig.log(&task)).contains(&"cleaned up".to_owned()));
}

/// A rig with a task that sleeps, its worker, and the marker of its processes.
async fn sleeping() -> (Rig, Process, Process, String) {
    let rig = Rig::new().await;
    let marker = marker();
    let script = format!(
        "cat > /dev/null
         setsid sh -c 'trap \"\" TERM HUP INT; exec sleep {marker}' &
         echo begun; sleep {marker}"
    );
    let worker = rig.worker_with(&rig.claude(&script), &SANDBOX);
    let mut submission = rig.submit(&fresh("task"), &request(), &["--json"]);
    submission
        .wait_for_line(crate::support::LIMIT, crate::support::says("begun"))
        .unwrap();
    until("both processes", async || {
        (processes_with(&marker).len() >= 2).then_some(())
    })
    .await;
    (rig, worker, submission, marker)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_when_the_supervisor_is_killed() {
    let (rig, worker, mut submission, marker) = sleeping().await;
    let worker = i32::try_from(worker.id()).unwrap();
    let supervisors: Vec<Pid> = processes_with("supervise")
        .into_iter()
        .filter(|pid| parent(*pid) == Some(worker))
        .collect();
    assert_eq!(supervisors.len(), 1);
    kill(supervisors[0], Signal::SIGKILL).unwrap();
    until("the end of all processes", async || {
        processes_with(&marker).is_empty().then_some(())
    })
    .await;
    let (code, output) = end(&mut submission);
    assert_eq!(code, 1, "{output}");
    assert_eq!(rig.workspaces(), Vec::<PathBuf>::new());
    assert_eq!(sockets(&rig), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_when_the_worker_is_killed() {
    let (rig, worker, _submission, marker) = sleeping().await;
    send(&worker, Signal::SIGKILL);
    until("the end of all processes", async || {
        processes_with(&marker).is_empty().then_some(())
    })
    .await;
    assert_eq!((rig.workspaces().len(), sockets(&rig)), (1, 1));
    rig.supervisor_ended().await;
    let _next = rig.worker_with(&rig.claude("exit 1"), &SANDBOX);
    assert_eq!((rig.workspaces().len(), sockets(&rig)), (0, 0));
}

fn parent(pid: Pid) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

/// The folders of proxies that exist now.
fn sockets(rig: &Rig) -> usize {
    fs::read_dir(rig.workdir().join("run")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_disk_have_limits() {
    let script = format!(
        "cat > /dev/null
         head -c 1000000000 /dev/zero | tail > /dev/null 2>&1; echo tail=$?
         echo '{RESULT}'"
    );
    let (code, output, log) = run(&script, &["--task-memory", "256MiB"]).await;
    assert_eq!(code, 0, "{output} {log}");
    assert!(!texts(&log).contains(&"tail=0".to_owned()), "{log}");

    let script = format!(
        "cat > /dev/null
         head -c 100000000 /dev/zero > large 2>/dev/null; echo large=$?
         for n in 1 2 3 4 5 6 7 8; do head -c 5000000 /dev/urandom > part$n; done
         echo full; sleep 1000; echo '{RESULT}'"
    );
    let (code, output, log) = run(&script, &["--task-disk", "20MiB"]).await;
    assert_eq!(code, 1, "{output} {log}");
    assert!(!texts(&log).contains(&"large=0".to_owned()), "{log}");
    let error = task_ended(&output)["error"].to_string();
    assert!(error.contains("disk limit reached"), "{error}");
}

/// A folder in place of the PATH that has the shell and no bubblewrap.
fn path_without_bubblewrap(rig: &Rig) -> PathBuf {
    let folder = rig.folder.path().join("bin");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    for program in ["sh", "id", "cat", "ls", "sleep"] {
        let real = ["/usr/bin", "/bin"].map(|place| Path::new(place).join(program));
        symlink(
            real.iter().find(|path| path.exists()).unwrap(),
            folder.join(program),
        )
        .unwrap();
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_bubblewrap_says_so_or_does_not_start() {
    let rig = Rig::new().await;
    let path = path_without_bubblewrap(&rig);
    // The user of a task must be able to reach the folders.
    fs::set_permissions(rig.folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let script =
        format!("cat > /dev/null; echo user=$(id -u); echo proxy=$HTTPS_PROXY; echo '{RESULT}'");
    let claude = rig.claude(&script);
    fs::set_permissions(&claude, fs::Permissions::from_mode(0o755)).unwrap();

    let (code, output) = rig.worker_that_ends(&claude, &path, &SANDBOX);
    assert_eq!(code, 78, "{output}");
    assert!(
        output.contains("bwrap") && output.contains("--sandbox auto"),
        "{output}"
    );

    let options = ["--sandbox", "auto", "--task-network", "on"];
    let _worker = rig.worker_with_path(&claude, &path, &options);
    let task = fresh("task");
    let (code, output) = end(&mut rig.submit(&task, &request(), &["--json"]));
    assert_eq!(code, 0, "{output}");
    let warnings = task_ended(&output)["result"]["warnings"].to_string();
    assert!(warnings.contains("not isolated"), "{warnings}");
    assert!(
        warnings.contains("in spite of --task-network on"),
        "{warnings}"
    );
    let lines = texts(&rig.log(&task));
    assert!(lines.contains(&"proxy=".to_owned()), "{lines:?}");
    if Uid::effective().is_root() {
        assert!(
            lines.iter().any(|line| line.starts_with("user=5")),
            "{lines:?}"
        );
        assert!(!warnings.contains("as the worker's user"), "{warnings}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_another_user_has_a_sandbox_too() {
    if !Uid::effective().is_root() {
        // All other tests run as that user.
        return;
    }
    let rig = Rig::new().await;
    let marker = marker();
    let script = format!(
        "cat > /dev/null
         echo user=$(id -u) processes=$(ls /proc | grep -c '^[0-9]')
         [ -e {} ] && echo visible
         unshare --user true 2>/dev/null && echo nested
         setsid sh -c 'trap \"\" TERM; exec sleep {marker}' &
         kill -9 $PPID 2>/dev/null
         echo '{RESULT}'",
        rig.keyring_folder().display()
    );
    let claude = rig.claude(&script);
    let path = "/usr/local/bin:/usr/bin:/bin";
    let _worker = rig.worker_as(57_999, path, &claude, &SANDBOX);
    let task = fresh("task");
    let (code, output) = end(&mut rig.submit(&task, &request(), &["--json"]));
    assert_eq!(code, 0, "{output}");
    let lines = texts(&rig.log(&task));
    assert!(lines[0].starts_with("user=57999 processes="), "{lines:?}");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(processes_with(&marker), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_processes_of_a_task_have_ids_of_their_own() {
    let rig = Rig::new().await;
    let script = format!("cat > /dev/null; echo own=$$.; sleep 2; echo '{RESULT}'");
    let _worker = rig.worker_with(&rig.claude(&script), &SANDBOX);
    let mut submission = rig.submit(&fresh("task"), &request(), &["--json"]);
    // Small numbers, which belong to other processes of the machine. A task cannot reach those by them.
    let pid = announced_pid(&mut submission, "own=");
    assert!(pid.as_raw() < 10, "{pid}");
    assert_eq!(end(&mut submission).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_files_that_are_open_count() {
    // Each file is below the limit for one file.
    let script = format!(
        "cat > /dev/null
         exec 3> a 4> b 5> c; rm a b c
         for to in 3 4 5; do head -c 9000000 /dev/urandom >&$to; done
         echo full; sleep 1000; echo '{RESULT}'"
    );
    let (code, output, log) = run(&script, &["--task-disk", "20MiB"]).await;
    assert_eq!(code, 1, "{output} {log}");
    let error = task_ended(&output)["error"].to_string();
    assert!(error.contains("disk limit reached"), "{error}");
}

/// A worker that is not root and has no bubblewrap cannot look into a process that forbids to be traced, as ssh-agent does.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_hides_its_open_files_ends_its_task() {
    if !Uid::effective().is_root() {
        // This test needs two users.
        return;
    }
    let rig = Rig::new().await;
    let path = path_without_bubblewrap(&rig);
    let script = "cat > /dev/null; echo begins; exec ssh-agent -D -a socket";
    let claude = rig.claude(script);
    for program in ["ssh-agent", "setpriv"] {
        symlink(Path::new("/usr/bin").join(program), path.join(program)).unwrap();
    }
    let path = path.to_str().unwrap();
    let _worker = rig.worker_as(57_998, path, &claude, &["--sandbox", "auto"]);
    let (code, output) = end(&mut rig.submit(&fresh("task"), &request(), &["--json"]));
    assert_eq!(code, 1, "{output}");
    let error = task_ended(&output)["error"].to_string();
    assert!(error.contains("hides its open files"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_open_files_of_a_process_are_limited() {
    let script = format!("cat > /dev/null; echo most=$(ulimit -Hn); echo '{RESULT}'");
    let (code, output, log) = run(&script, &[]).await;
    assert_eq!(code, 0, "{output}");
    let lines = texts(&log);
    let most = lines.iter().find_map(|line| line.strip_prefix("most="));
    assert!(most.unwrap().parse::<u64>().unwrap() <= 16_384, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_says_that_the_sandbox_is_off() {
    let rig = Rig::new().await;
    let claude = rig.claude(&format!("cat > /dev/null; echo '{RESULT}'"));
    let _worker = rig.worker_with(&claude, &["--sandbox", "off"]);
    let (code, output) = end(&mut rig.submit(&fresh("task"), &request(), &["--json"]));
    assert_eq!(code, 0, "{output}");
    let warnings = task_ended(&output)["result"]["warnings"].to_string();
    assert!(warnings.contains("switched the sandbox off"), "{warnings}");
}
