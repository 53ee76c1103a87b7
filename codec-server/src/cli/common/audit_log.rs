//! `--audit-log`: the audit log of what a person does with keys.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use clap::Args;
use nix::unistd::{User, geteuid};
use temporal_kms_codec::{
    audit::{AuditLog, AuditOptions, Event},
    kms::Kms,
};
use tokio::runtime::Builder;

use super::exit::{Failure, PROGRAM};

#[derive(Clone, Debug, Args)]
pub(crate) struct AuditArgs {
    /// The folder of an audit log, which exists. Each use and each change of a key is written there, with its result and
    /// the user. A log has one writer, so this is not the folder of a server.
    #[arg(long, global = true, value_name = "DIR", env = "CODEC_AUDIT_LOG")]
    audit_log: Option<PathBuf>,
}

/// A command, as its line in the log names it.
#[derive(Clone, Debug)]
pub(crate) struct CommandEvent {
    command: &'static str,
    namespace: Option<String>,
    files: Vec<String>,
}

/// The log of a command, where there is one.
pub(crate) struct CommandLog {
    log: Option<Arc<AuditLog>>,
    event: CommandEvent,
    user: String,
}

impl CommandEvent {
    /// A command by its name, such as `history decode`.
    pub(crate) const fn of(command: &'static str) -> Self {
        Self {
            command,
            namespace: None,
            files: Vec::new(),
        }
    }

    /// Adds the namespace whose payloads it works on.
    pub(crate) fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Adds the files that it reads.
    pub(crate) fn reading<P: AsRef<Path>>(mut self, files: &[P]) -> Self {
        let names = files.iter().map(|file| file.as_ref().display().to_string());
        self.files.extend(names);
        self
    }

    /// The last word of the command, as a request at the server calls it.
    fn operation(&self) -> &'static str {
        self.command.rsplit(' ').next().unwrap_or(self.command)
    }
}

impl AuditArgs {
    /// Opens the log of a command.
    ///
    /// Its first line is written when this returns: a log that cannot be written is found before a key is used.
    pub(crate) async fn open(&self, event: CommandEvent) -> Result<CommandLog, Failure> {
        let mut command = CommandLog {
            log: None,
            event,
            user: user(),
        };
        if let Some(folder) = &self.audit_log {
            let version = env!("CARGO_PKG_VERSION");
            let options = AuditOptions::folder(folder)
                .with_program(format!("{PROGRAM} {} {version}", command.event.command))
                .with_user(command.user.clone());
            let log = AuditLog::open(&options)?;
            // A signal may come while this waits. Then the log gets its last line too.
            command.log = Some(Arc::clone(&log));
            if let Err(error) = log.started().await {
                command.log = None;
                return Err(error.into());
            }
        }
        Ok(command)
    }
}

impl CommandLog {
    /// From now on, the log has a line for each call and each change of a key of `kms`.
    pub(crate) fn observe(&self, kms: &mut Kms) {
        if let Some(log) = &self.log {
            kms.set_observer(Some(log.clone()));
        }
    }

    /// Writes how the command ended, and closes the log. A failure of the command is reported first.
    pub(crate) async fn close<T>(mut self, done: Result<T, Failure>) -> Result<T, Failure> {
        let Some(log) = self.log.take() else {
            return done;
        };
        let event = match &done {
            Ok(_) => self.line("ok"),
            Err(failure) => {
                let reason = failure.to_string();
                self.line("failed")
                    .number("exit_code", failure.code().into())
                    .maybe("error", Some(reason.as_str()).filter(|it| !it.is_empty()))
            }
        };
        let written = log.record(event).written().await;
        let closed = log.close().await;
        let done = done?;
        written.and(closed)?;
        Ok(done)
    }

    fn line(&self, result: &'static str) -> Event {
        let event = Event::new("command")
            .text("subject", &self.user)
            .text("operation", self.event.operation())
            .maybe("namespace", self.event.namespace.as_deref())
            .text("result", result);
        if self.event.files.is_empty() {
            return event;
        }
        event.list("files", &self.event.files)
    }
}

impl Drop for CommandLog {
    fn drop(&mut self) {
        let Some(log) = self.log.take() else {
            return;
        };
        // A signal has ended the command. Its threads may hold the log until the process ends, so closing it is not enough.
        let receipt = log.record(self.line("given_up"));
        let written = thread::spawn(|| {
            let runtime = Builder::new_current_thread().enable_time().build();
            runtime.is_ok_and(|runtime| runtime.block_on(receipt.written()).is_ok())
        });
        // A log that cannot be written says so itself.
        let _ = written.join();
    }
}

/// The user, as the system knows this process.
fn user() -> String {
    let id = geteuid();
    match User::from_uid(id) {
        Ok(Some(user)) => format!("{} (uid {id})", user.name),
        _ => format!("uid {id}"),
    }
}
