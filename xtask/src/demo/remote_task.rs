//! The demo's second task: over HTTP, with a repository, a stream of its events, a commit and a webhook.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    thread,
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    credential::Credential,
    events::{Event, Events},
    http,
    repository::BRANCH,
    service::TaskService,
    table::clip,
    watch::Watch,
};
use crate::step;

const LIMIT: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(50);
/// The width of what is shown of an event.
const WIDTH: usize = 94;

/// The file that the task writes.
pub(super) const FILE: &str = "ENVELOPE.md";
/// The message of its commit.
pub(super) const MESSAGE: &str = "Explain the envelope";
/// The prompt without markers. It has the same form in every encoding of JSON.
pub(super) const PROMPT: &str =
    "Write a file ENVELOPE.md that says in one sentence why an envelope has two keys.";

/// A task that has run over HTTP, and what could be seen meanwhile.
pub(super) struct RemoteTask {
    id: String,
    events: Vec<Event>,
    sealed: Option<Vec<u8>>,
    deploy_key: Option<Zeroizing<String>>,
    seen: Vec<String>,
}

impl RemoteTask {
    /// Sends the request, shows the stream, and waits for the webhook.
    pub(super) fn run(service: &TaskService, credential: &Credential) -> anyhow::Result<Self> {
        let id = format!("demo-http-{:.8}", Uuid::new_v4().simple().to_string());
        let deploy_key = service.repository().deploy_key()?;
        let mut task = Self {
            id,
            events: Vec::new(),
            sealed: None,
            deploy_key,
            seen: Vec::new(),
        };
        let watch = Watch::start(&task.secrets(credential));
        let ran = task.call(service, credential);
        task.seen = watch.stop();
        ran?;
        await_webhook(service)?;
        Ok(task)
    }

    fn call(&mut self, service: &TaskService, credential: &Credential) -> anyhow::Result<()> {
        let url = service.url();
        step::note(&format!(
            "$ curl -H \"Authorization: Bearer $TOKEN\" --json @request.json {url}/run-async"
        ));
        let request = Zeroizing::new(self.request(service, credential)?.to_string());
        let accepted = http::post(&format!("{url}/run-async"), service.token(), &request)?;
        ensure!(
            accepted.status() == 202,
            "the service answered {} to the request: {}",
            accepted.status(),
            accepted.body()
        );
        step::note(&accepted.body().to_string());
        self.sealed = fs::read(service.secrets_of(&self.id)).ok();

        let path = format!("{url}/tasks/{}/events", self.id);
        step::note(&format!(
            "$ curl -N -H \"Authorization: Bearer $TOKEN\" {path}"
        ));
        let stream = http::stream(&path, service.token(), LIMIT)?;
        let lines = BufReader::new(stream).lines();
        for event in Events::new(lines.map(|line| line.context("the stream broke"))) {
            let event = event?;
            step::note(&credential.mask(&clip(&event.shown(), WIDTH)));
            self.events.push(event);
        }
        Ok(())
    }

    fn request(&self, service: &TaskService, credential: &Credential) -> anyhow::Result<Value> {
        let prompt = if credential.is_own() {
            PROMPT.to_owned()
        } else {
            let file = json!({"file_path": FILE, "content": "One key encrypts data, and one key encrypts that key.\n"});
            // The local Messages API does what such a marker says.
            format!("{PROMPT} [[tool:Write {file}]]")
        };
        let mut request = json!({
            "taskId": self.id,
            "prompt": prompt,
            "gitRepo": service.repository().url()?,
            "gitBranch": BRANCH,
            "permissionMode": "acceptEdits",
            "allowedTools": ["Write"],
            "callbackUrl": service.receiver().url(),
            "postExecutionActions": {"git": {"commit": true, "commitMessage": MESSAGE, "push": true}},
        });
        let fields = request.as_object_mut().context("a request has fields")?;
        credential.add_to(fields);
        if let Some(key) = &self.deploy_key {
            fields.insert("sshKey".to_owned(), key.as_str().into());
        }
        Ok(request)
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What the stream brought.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    /// The object with the task's secrets, as it was stored while the task ran.
    pub(super) fn sealed(&self) -> Option<&[u8]> {
        self.sealed.as_deref()
    }

    /// The secrets of the request: the credential, and the longest line of the SSH key.
    pub(super) fn secrets<'a>(&'a self, credential: &'a Credential) -> Vec<&'a [u8]> {
        let key = self.deploy_key.as_ref();
        let line = key.and_then(|key| key.lines().max_by_key(|line| line.len()));
        let key = line.map(str::as_bytes);
        [credential.bytes()].into_iter().chain(key).collect()
    }

    /// The programs that had a secret among their arguments while the task ran.
    pub(super) fn argument_leaks(&self) -> &[String] {
        &self.seen
    }
}

fn await_webhook(service: &TaskService) -> anyhow::Result<()> {
    let receiver = service.receiver();
    for _ in 0..LIMIT.as_millis() / POLL.as_millis() {
        if !receiver.accepted().is_empty() {
            for webhook in receiver.received() {
                step::note(&format!(
                    "webhook of {} bytes, answered with {}",
                    webhook.body.len(),
                    webhook.status
                ));
            }
            return Ok(());
        }
        thread::sleep(POLL);
    }
    anyhow::bail!("the webhook did not arrive within {} s", LIMIT.as_secs())
}
