//! One call of git, with the service's configuration only.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use zeroize::Zeroizing;

use super::{explain::explain, place::GitPlace, remote::Remote};
use crate::{
    sandbox::{Finished, Network, ProgramError, RunLimits},
    task::StepError,
};

/// The time limit of a call that transfers objects.
const NETWORK_TIMEOUT: Duration = Duration::from_mins(20);
/// The time limit of other calls.
const LOCAL_TIMEOUT: Duration = Duration::from_mins(10);
/// The most bytes of output. The names of all changed files must fit.
const OUTPUT: usize = 16 << 20;

/// Configuration that overrides all other. Hooks, filters, monitors, submodules, signatures, editors and helpers stay off.
const CONFIGURATION: [&str; 31] = [
    "advice.detachedHead=false",
    "commit.gpgSign=false",
    "core.askPass=",
    "core.attributesFile=/dev/null",
    "core.autocrlf=false",
    "core.bare=false",
    "core.editor=true",
    "core.excludesFile=/dev/null",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.precomposeUnicode=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.quotePath=false",
    "core.untrackedCache=false",
    "credential.helper=",
    "diff.ignoreSubmodules=all",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    // A redirect could lead to a server inside the worker's network.
    "http.followRedirects=false",
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=120",
    "init.templateDir=",
    "maintenance.auto=false",
    "merge.renames=true",
    "push.followTags=false",
    "push.gpgSign=false",
    "push.recurseSubmodules=no",
    "rerere.enabled=false",
    "submodule.recurse=false",
];

const VARIABLES: [(&str, &str); 12] = [
    ("GIT_ASKPASS", "/bin/false"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_EDITOR", "true"),
    ("GIT_MERGE_AUTOEDIT", "no"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_SSH_VARIANT", "ssh"),
    ("GIT_TERMINAL_PROMPT", "0"),
    // The session may have written there.
    ("HOME", "/nonexistent"),
    ("LC_ALL", "C"),
    ("SSH_ASKPASS", "/bin/false"),
];

/// Variables of the task that git may see.
const KEPT: [&str; 4] = ["PATH", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// A call of git that is being put together.
pub(super) struct Call<'a> {
    place: &'a GitPlace<'a>,
    arguments: Vec<OsString>,
    setting: Option<String>,
    variables: Vec<(String, Zeroizing<String>)>,
    folder: PathBuf,
    writable: Vec<PathBuf>,
    readable: Vec<PathBuf>,
    input: Vec<u8>,
    input_file: Option<PathBuf>,
    is_remote: bool,
}

impl<'a> Call<'a> {
    /// A call with these arguments in the workspace.
    pub(super) fn new<A: Into<OsString>>(
        place: &'a GitPlace<'a>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            place,
            arguments: arguments.into_iter().map(Into::into).collect(),
            setting: None,
            variables: Vec::new(),
            folder: place.workspace.clone(),
            writable: Vec::new(),
            readable: Vec::new(),
            input: Vec::new(),
            input_file: None,
            is_remote: false,
        }
    }

    /// Works in the service's own repository.
    pub(super) fn in_repository(mut self) -> Self {
        let repository = self.place.repository();
        self.writable.push(repository.clone());
        self.folder.clone_from(&repository);
        self.with_path("GIT_DIR", repository)
    }

    /// Reads the service's own repository, and works on the files of the workspace. New objects and the index go to the
    /// outbox.
    pub(super) fn in_workspace(mut self) -> Self {
        let (repository, outbox) = (self.place.repository(), self.place.outbox());
        let workspace = self.place.workspace.clone();
        self.readable.push(repository.clone());
        self.writable.push(outbox.clone());
        let alternates = repository.join("objects");
        self.with_path("GIT_DIR", repository)
            .with_path("GIT_WORK_TREE", workspace)
            .with_path("GIT_INDEX_FILE", outbox.join("index"))
            .with_path("GIT_OBJECT_DIRECTORY", outbox.join("objects"))
            .with_path("GIT_ALTERNATE_OBJECT_DIRECTORIES", alternates)
    }

    /// Works in the service's own repository, with the working tree of a rebase.
    pub(super) fn in_rebase(mut self) -> Self {
        let (repository, tree) = (self.place.repository(), self.place.rebase_tree());
        self.writable.extend([repository.clone(), tree.clone()]);
        self.folder.clone_from(&tree);
        self.with_path("GIT_INDEX_FILE", repository.join("rebase-index"))
            .with_path("GIT_DIR", repository)
            .with_path("GIT_WORK_TREE", tree)
    }

    /// Reaches the remote repository, with the task's key if there is one.
    pub(super) fn remote(mut self, server: &Remote) -> Self {
        self.is_remote = true;
        self.setting = server.setting();
        // The sandbox gives what is writable to the task's user. Otherwise ssh could not read the key.
        self.writable.push(server.ssh().folder().to_owned());
        let command = server.ssh_command();
        self.with("GIT_SSH_COMMAND", &command)
    }

    /// Sets a variable.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables
            .push((name.to_owned(), Zeroizing::new(value.to_owned())));
        self
    }

    fn with_path(self, name: &str, path: impl AsRef<Path>) -> Self {
        self.with(name, &path.as_ref().to_string_lossy())
    }

    /// Gives standard input.
    pub(super) fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// Takes standard input from a file of the outbox.
    pub(super) fn input_file(mut self, file: PathBuf) -> Self {
        self.readable.push(self.place.outbox());
        self.input_file = Some(file);
        self
    }

    /// Runs it. Every exit code is a result.
    pub(super) async fn run(self) -> Result<Finished, StepError> {
        let place = self.place;
        let git = place.settings.program.clone();
        let mut arguments: Vec<OsString> = Vec::new();
        for setting in CONFIGURATION {
            arguments.extend(["-c".into(), setting.into()]);
        }
        if let Some(setting) = self.setting {
            arguments.extend(["-c".into(), setting.into()]);
        }
        arguments.extend(self.arguments);
        let (program, arguments) = match self.input_file {
            None => (git, arguments),
            Some(file) => {
                let mut shell: Vec<OsString> =
                    vec!["-c".into(), r#"exec "$@" < "$0""#.into(), file.into()];
                shell.push(git.into());
                shell.extend(arguments);
                ("/bin/sh".into(), shell)
            }
        };
        let mut spec = place.programs.spec(program, arguments);
        spec.folder = self.folder;
        spec.environment
            .retain(|(name, _)| KEPT.contains(&name.as_str()));
        let protocols = if place.settings.files_allowed {
            "https:ssh:file"
        } else {
            "https:ssh"
        };
        let fixed = VARIABLES
            .into_iter()
            .chain([("GIT_ALLOW_PROTOCOL", protocols)])
            .map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned())));
        spec.environment.extend(fixed);
        spec.environment.extend(self.variables);
        spec.extra_read_only = self.readable;
        spec.extra_writable = self.writable;
        let limits = RunLimits {
            timeout: if self.is_remote {
                NETWORK_TIMEOUT
            } else {
                LOCAL_TIMEOUT
            },
            output: OUTPUT,
        };
        spec.network = if self.is_remote {
            Network::OfWorker
        } else {
            Network::Nothing
        };
        let run = place
            .programs
            .run(spec, &self.input, limits, place.cancelled);
        run.await.map_err(of_program)
    }

    /// Runs it, and returns its output if it succeeded. `what` says what failed otherwise.
    pub(super) async fn output(self, what: &str) -> Result<Vec<u8>, StepError> {
        let place = self.place;
        let finished = self.run().await?;
        if finished.exit_code == 0 && !finished.truncated {
            return Ok(finished.stdout);
        }
        Err(failure(place, what, &finished))
    }

    /// As [`output`](Self::output), for one line of text.
    pub(super) async fn line(self, what: &str) -> Result<String, StepError> {
        let output = self.output(what).await?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// As [`output`](Self::output), for the name of an object.
    pub(super) async fn object(self, what: &str) -> Result<String, StepError> {
        let name = self.line(what).await?;
        if is_object_name(&name) {
            return Ok(name);
        }
        Err(StepError::final_one(format!(
            "{what}: git did not print the name of an object"
        )))
    }
}

/// The error of a call that ended without success.
pub(super) fn failure(place: &GitPlace<'_>, what: &str, finished: &Finished) -> StepError {
    if finished.truncated {
        return StepError::final_one(format!(
            "{what}: git printed more than {OUTPUT} bytes; change fewer files, or name them in `files`"
        ));
    }
    let errors = String::from_utf8_lossy(&finished.stderr);
    let reason = explain(&place.redactor.redact(&errors), finished.exit_code);
    let message = format!("{what}: {}", reason.text);
    if reason.retry {
        StepError::transient(message)
    } else {
        StepError::final_one(message)
    }
}

fn of_program(error: ProgramError) -> StepError {
    match error {
        ProgramError::Cancelled { .. } => StepError::Cancelled,
        ProgramError::Timeout { .. } => StepError::final_one(error.to_string()),
        error => StepError::transient(error.to_string()),
    }
}

/// Whether a text is the name of an object: SHA-1 or SHA-256.
pub(super) fn is_object_name(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
