//! `claude-tasks setup gcp` with a scripted `gcloud`, which keeps what was made and fails where a test wants it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// What the dry runs print: the golden texts.
const SCRIPT: &str = "gcp.sh";
const TEAR_DOWN: &str = "gcp-tear-down.sh";
const PLACE: [&str; 6] = [
    "setup",
    "gcp",
    "--project=my-project",
    "--region=europe-west1",
    "--client-user=user:ann@example.com",
    "--temporal-address=temporal.example.com:7233",
];

fn file(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worker/setup");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// A project: what its `gcloud` has made, and the calls.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("gcloud");
        fs::write(&program, file("gcloud.sh")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        Self { folder }
    }

    fn state(&self, file: &str) -> std::path::PathBuf {
        self.folder.path().join("state").join(file)
    }

    fn run_program(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.folder.path().display());
        self.run_with_path(program, arguments, &path)
    }

    fn run_with_path(&self, program: impl AsRef<Path>, arguments: &[&str], path: &str) -> Output {
        Command::new(program.as_ref())
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", path)
            .env("GCLOUD_STATE", self.state(""))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn setup(&self, arguments: &[&str]) -> Output {
        let arguments = [&PLACE[..], arguments].concat();
        self.run_program(env!("CARGO_BIN_EXE_claude-tasks"), &arguments)
    }

    /// The calls that changed something since the last look.
    fn changes(&self) -> Vec<String> {
        let text = fs::read_to_string(self.state("changes")).unwrap_or_default();
        let _ = fs::remove_file(self.state("changes"));
        let _ = fs::remove_file(self.state("count"));
        text.lines().map(str::to_owned).collect()
    }

    fn fail_at(&self, change: Option<usize>) {
        match change {
            Some(number) => fs::write(self.state("fail"), number.to_string()).unwrap(),
            None => fs::remove_file(self.state("fail")).unwrap(),
        }
    }
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_dry_run_prints_a_script_and_calls_nothing() {
    let project = Project::new();
    for (arguments, expected) in [
        (&["--dry-run"][..], SCRIPT),
        (&["--dry-run", "--tear-down", "--delete-data"], TEAR_DOWN),
    ] {
        let printed = succeeded(&project.setup(arguments));
        assert_eq!(
            printed,
            file(expected),
            "the golden text differs: {printed}"
        );
        assert_eq!(project.changes(), [""; 0]);
    }
    // Not even gcloud is needed.
    let without_gcloud = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_claude-tasks");
        project.run_with_path(program, &[&PLACE[..], arguments].concat(), "/nowhere")
    };
    let answer: Value =
        serde_json::from_str(&succeeded(&without_gcloud(&["--dry-run", "--json"]))).unwrap();
    assert_eq!(answer["dry_run"], true);
    for step in answer["steps"].as_array().unwrap() {
        assert_eq!(step["outcome"], "planned-if-missing");
        assert!(!step["commands"].as_array().unwrap().is_empty(), "{step}");
    }
    let output = without_gcloud(&[]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("gcloud is not on the PATH"));
}

#[test]
fn the_program_does_what_the_script_does_and_does_it_once() {
    let by_script = Project::new();
    let script = by_script.folder.path().join("script");
    fs::write(&script, file(SCRIPT)).unwrap();
    succeeded(&by_script.run_program("/bin/sh", &[script.to_str().unwrap()]));
    let expected = by_script.changes();
    assert!(expected.len() > 25, "{expected:#?}");

    let project = Project::new();
    let told = succeeded(&project.setup(&[]));
    assert_eq!(project.changes(), expected);
    assert!(
        told.contains("done: deploy the API as the service claude-tasks-api\n"),
        "{told}"
    );
    assert!(
        told.contains("The API is at https://claude-tasks-api-123456789012.europe-west1.run.app"),
        "{told}"
    );
    // Again: nothing is left to do, also for the script's project.
    for project in [&project, &by_script] {
        let answer: Value = serde_json::from_str(&succeeded(&project.setup(&["--json"]))).unwrap();
        assert_eq!(answer["changed"], false, "{answer:#}");
        assert_eq!(project.changes(), [""; 0]);
    }
    // Other options change only what they are about.
    succeeded(&project.setup(&["--workers=3", "--caller=bob@example.com"]));
    let changes = project.changes();
    let verbs: Vec<_> = changes
        .iter()
        .map(|change| change.split(" --").next().unwrap())
        .collect();
    assert_eq!(
        verbs,
        [
            "secrets versions add claude-tasks-api-config",
            "secrets update claude-tasks-api-config",
            "run deploy claude-tasks-api",
            "beta run worker-pools deploy claude-tasks-worker"
        ],
        "{changes:#?}"
    );
}

#[test]
fn a_failure_anywhere_tells_what_was_done_and_the_next_run_goes_on() {
    let whole = Project::new();
    succeeded(&whole.setup(&[]));
    let all = whole.changes();
    for number in 1..=all.len() {
        let project = Project::new();
        project.fail_at(Some(number));
        let output = project.setup(&["--json"]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let problem = text(&output.stderr);
        assert_eq!(output.status.code(), Some(77), "{number}: {problem}");
        assert!(problem.contains("PERMISSION_DENIED"), "{number}: {problem}");
        assert!(
            problem.contains("run the same command again"),
            "{number}: {problem}"
        );
        let outcomes: Vec<_> = answer["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["outcome"].as_str().unwrap())
            .collect();
        let failed = outcomes
            .iter()
            .position(|outcome| *outcome == "failed")
            .unwrap();
        assert!(
            outcomes[..failed]
                .iter()
                .all(|outcome| *outcome == "changed"),
            "{number}"
        );
        assert!(
            outcomes[failed + 1..]
                .iter()
                .all(|outcome| *outcome == "skipped"),
            "{number}"
        );
        assert_eq!(project.changes(), all[..number], "{number}");

        project.fail_at(None);
        succeeded(&project.setup(&[]));
        let rest = project.changes();
        // A step of two commands repeats the first one.
        let expected = &all[number - 1..];
        assert!(
            rest.ends_with(expected) && rest.len() <= expected.len() + 1,
            "{number}: {rest:#?}"
        );
    }
}

#[test]
fn a_tear_down_needs_a_yes_and_leaves_data_alone() {
    let project = Project::new();
    succeeded(&project.setup(&[]));
    project.changes();
    let output = project.setup(&["--tear-down"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("--yes"));
    assert_eq!(project.changes(), [""; 0]);

    let told = succeeded(&project.setup(&["--tear-down", "--yes"]));
    assert!(
        told.contains("The bucket my-project-claude-tasks and the repository"),
        "{told}"
    );
    assert!(told.contains("The keys of claude-code stay"), "{told}");
    let changes = project.changes();
    for kept in ["storage", "kms", "artifacts", "logging buckets"] {
        assert!(
            !changes.iter().any(|change| change.starts_with(kept)),
            "{changes:#?}"
        );
    }
    assert!(
        changes
            .iter()
            .any(|change| change.starts_with("run services delete claude-tasks-api"))
    );
    let names = |file: &str| fs::read_to_string(project.state(file)).unwrap_or_default();
    for file in ["services-of-run", "pools", "secrets", "sinks", "accounts"] {
        assert_eq!(names(file), "", "{file}");
    }
    // Again, and with the data.
    succeeded(&project.setup(&["--tear-down", "--yes"]));
    assert_eq!(project.changes(), [""; 0]);
    succeeded(&project.setup(&["--tear-down", "--yes", "--delete-data"]));
    assert_eq!(project.changes().len(), 3);
    assert_eq!(names("buckets"), "");
    assert!(
        names("keys").contains("payload-encryption"),
        "a key was destroyed"
    );
}

#[test]
fn a_tear_down_goes_on_after_a_failure() {
    for number in 1..=8 {
        let project = Project::new();
        succeeded(&project.setup(&[]));
        project.changes();
        project.fail_at(Some(number));
        let output = project.setup(&["--tear-down", "--yes"]);
        assert_eq!(output.status.code(), Some(77), "{number}");
        let tried = project.changes();
        project.fail_at(None);
        succeeded(&project.setup(&["--tear-down", "--yes"]));
        let rest = project.changes();
        assert_eq!(tried.last(), rest.first(), "{number}");
        assert_eq!(tried.len() + rest.len(), 9, "{number}");
    }
}

#[test]
fn what_cannot_be_right_is_refused_before_anything_is_called() {
    let project = Project::new();
    for (arguments, problem) in [
        (
            &["--key=k", "--secrets-key=k"][..],
            "the API could then open the secrets",
        ),
        (&["--client-user=allUsers"], "--client-user"),
        (&["--bucket=--recursive"], "--bucket"),
        (&["--caller=a@b.c\"]"], "--caller"),
        (&["--network=default"], "--subnet"),
        (&["--delete-data"], "--tear-down"),
        (&["--workers=1001"], "--workers"),
        (&["--url=http://tasks.example.com"], "--url"),
    ] {
        let output = project.setup(arguments);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {told}");
        assert!(told.contains(problem), "{arguments:?}: {told}");
    }
    assert_eq!(project.changes(), [""; 0]);
}

#[test]
fn a_key_file_is_made_with_a_warning_only() {
    let project = Project::new();
    let output = project.setup(&["--client-key=client.json", "--dry-run"]);
    assert!(
        text(&output.stderr).contains("prefer --client-user"),
        "{output:?}"
    );
    assert!(succeeded(&output).contains("gcloud iam service-accounts keys create client.json"));
    assert!(!file(SCRIPT).contains("keys create client.json"));
}
