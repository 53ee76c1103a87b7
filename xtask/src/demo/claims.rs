//! The demo's claims, and the proof of each.

use anyhow::{Context, bail, ensure};
use dev_servers::Forms;

use super::{
    credential::Credential,
    history::{self, History},
    http,
    remote_task::RemoteTask,
    stage::Stage,
    task::Task,
    watch,
};

/// The demo's claims, each with its proof.
#[derive(Default)]
pub(super) struct Claims {
    held: usize,
    failed: usize,
}

impl Claims {
    /// Prints `sentence` as held or not.
    pub(super) fn claim(&mut self, sentence: &str, proof: anyhow::Result<()>) {
        match proof {
            Ok(()) => {
                self.held += 1;
                anstream::println!("    \x1b[32m✓\x1b[0m {sentence}");
            }
            Err(error) => {
                self.failed += 1;
                anstream::println!(
                    "    \x1b[1;31m✗\x1b[0m {sentence}\n      \x1b[31m{error:#}\x1b[0m"
                );
            }
        }
    }

    /// Fails when one claim did not hold.
    pub(super) fn conclude(&self) -> anyhow::Result<()> {
        let all = self.held + self.failed;
        ensure!(
            self.failed == 0,
            "{} of {all} claims do not hold",
            self.failed
        );
        Ok(())
    }

    /// Checks everything that can be seen from outside while the servers run.
    pub(super) fn check_all(
        &mut self,
        stage: &Stage,
        task: &Task,
        remote: &RemoteTask,
        history: &History,
        credential: &Credential,
    ) {
        self.claim("Claude has answered", answered(task, history, credential));
        self.claim(
            "Temporal stores neither the prompt nor the credential, in no encoding",
            stores_nothing(stage, task, history, credential),
        );
        self.claim(
            "Every payload of the task in the history is encrypted with local://default",
            all_encrypted(history),
        );
        self.claim(
            "`temporal workflow show` prints plaintext with --codec-endpoint, and none without it",
            command_line_shows(stage, task),
        );
        self.claim(
            "The credential and the SSH key were never among a program's arguments",
            arguments(task, remote),
        );
        self.claim(
            "The credential is in no file and in no output of any server",
            nowhere_else(stage, task, credential),
        );
        self.claim(
            "The servers never had the credential in their environment",
            environment(stage, credential),
        );
        self.claim(
            "The Web UI is set up to ask the codec server, and a browser may",
            browser(stage, history),
        );
        self.claim("Other web sites may not", foreign_site(stage, history));
    }
}

fn answered(task: &Task, history: &History, credential: &Credential) -> anyhow::Result<()> {
    let end = history.end()?;
    ensure!(
        end == "WorkflowExecutionCompleted",
        "the workflow ended with {end}"
    );
    if !credential.is_own() {
        // The fake repeats the prompt, so the answer is known beforehand.
        let expected = format!("You asked: {}", task.prompt());
        ensure!(
            task.output().contains(&expected),
            "the answer is not in the task's events"
        );
    }
    Ok(())
}

fn stores_nothing(
    stage: &Stage,
    task: &Task,
    history: &History,
    credential: &Credential,
) -> anyhow::Result<()> {
    let mut describe = stage.temporal().cli();
    describe.args([
        "workflow",
        "describe",
        "--workflow-id",
        task.id(),
        "--output",
        "json",
    ]);
    let described = history::output(describe)?;
    for (what, secret) in [
        ("prompt", task.prompt().as_bytes()),
        ("credential", credential.bytes()),
    ] {
        let secret = Forms::of(secret);
        for document in [history.stored(), &described] {
            if let Some(form) = secret.find_in(document.as_bytes()) {
                bail!("Temporal has the {what} unencrypted, as {form}");
            }
        }
        // The search must be able to find it.
        let found = secret.find_in(history.shown().as_bytes());
        found.with_context(|| format!("the {what} is not in the decoded history either"))?;
    }
    Ok(())
}

pub(super) fn all_encrypted(history: &History) -> anyhow::Result<()> {
    ensure!(!history.fields().is_empty(), "there is no payload");
    for field in history.fields() {
        let payload = &field.stored;
        ensure!(
            payload.encoding == "binary/envelope-kms",
            "{} is {}",
            field.place,
            payload.encoding
        );
        let key = payload.key.as_deref().unwrap_or_default();
        ensure!(
            key == "local://default",
            "{} names the key {key}",
            field.place
        );
        ensure!(field.shown.key.is_none(), "{} was not decoded", field.place);
    }
    Ok(())
}

fn command_line_shows(stage: &Stage, task: &Task) -> anyhow::Result<()> {
    let show = |endpoint: Option<&str>| {
        let mut command = stage.temporal().cli();
        command.args(["workflow", "show", "--workflow-id", task.id(), "--detailed"]);
        command.args(endpoint.map(|url| format!("--codec-endpoint={url}")));
        history::output(command)
    };
    ensure!(
        !show(None)?.contains(task.prompt()),
        "the prompt is shown without the codec server"
    );
    ensure!(
        show(Some(stage.codec()))?.contains(task.prompt()),
        "the prompt is not shown with it"
    );
    Ok(())
}

fn arguments(task: &Task, remote: &RemoteTask) -> anyhow::Result<()> {
    let programs = [task.argument_leaks(), remote.argument_leaks()].concat();
    let programs = programs.join(", ");
    ensure!(programs.is_empty(), "it was among those of {programs}");
    Ok(())
}

fn nowhere_else(stage: &Stage, task: &Task, credential: &Credential) -> anyhow::Result<()> {
    let secret = Forms::of(credential.bytes());
    if let Some(file) = watch::file_with(stage.folder(), &secret) {
        bail!("it is in {file}");
    }
    let mut outputs = stage.outputs();
    outputs.push(("claude-tasks submit", task.output().to_owned()));
    for (name, output) in outputs {
        let found = secret.find_in(output.as_bytes());
        ensure!(found.is_none(), "it is in the output of {name}");
    }
    Ok(())
}

fn environment(stage: &Stage, credential: &Credential) -> anyhow::Result<()> {
    let secret = Forms::of(credential.bytes());
    for (name, id) in stage.ids() {
        let variables = std::fs::read(format!("/proc/{id}/environ"))
            .with_context(|| format!("cannot read the environment of {name}"))?;
        let found = secret.find_in(&variables);
        ensure!(found.is_none(), "{name} has it");
    }
    Ok(())
}

fn browser(stage: &Stage, history: &History) -> anyhow::Result<()> {
    let endpoint = http::ui_codec_endpoint(&stage.ui())?;
    ensure!(endpoint == stage.codec(), "the Web UI asks {endpoint}");

    let origin = stage.ui();
    let preflight = http::preflight(&format!("{endpoint}/decode"), &origin)?;
    ensure!(
        preflight.status().is_success(),
        "the preflight got {}",
        preflight.status()
    );
    ensure!(
        header(&preflight, "access-control-allow-origin") == origin,
        "another origin is allowed"
    );
    let headers = header(&preflight, "access-control-allow-headers").to_lowercase();
    for needed in ["content-type", "x-namespace"] {
        ensure!(
            headers.contains(needed),
            "the header {needed} is not allowed"
        );
    }

    let field = history.fields().first().context("there is no payload")?;
    let answer = http::decode(&endpoint, &origin, &field.stored.json)?;
    ensure!(answer.status() == 200, "decoding got {}", answer.status());
    ensure!(
        header(&answer, "access-control-allow-origin") == origin,
        "the answer is not for {origin}"
    );
    let decoded = answer
        .body()
        .pointer("/payloads/0")
        .context("the answer holds no payload")?;
    ensure!(
        *decoded == field.shown.json,
        "the browser's answer differs from the command line's"
    );
    Ok(())
}

fn foreign_site(stage: &Stage, history: &History) -> anyhow::Result<()> {
    let origin = "https://example.com";
    let preflight = http::preflight(&format!("{}/decode", stage.codec()), origin)?;
    let allowed = header(&preflight, "access-control-allow-origin");
    ensure!(
        allowed != origin && allowed != "*",
        "the preflight of {origin} is allowed"
    );
    let field = history.fields().first().context("there is no payload")?;
    if let Ok(answer) = http::decode(stage.codec(), origin, &field.stored.json) {
        let allowed = header(&answer, "access-control-allow-origin");
        ensure!(
            allowed != origin && allowed != "*",
            "{origin} may read answers"
        );
    }
    Ok(())
}

fn header<'a, T>(response: &'a ureq::http::Response<T>, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
