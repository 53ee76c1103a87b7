//! The shell commands of a request that prepare the workspace.

use std::{path::Path, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    redact::Redactor,
    sandbox::{Finished, ProgramError, Programs, RunLimits},
    task::{StepError, TaskRequest},
};

/// The most bytes of one command's output that are kept.
const OUTPUT: usize = 64 << 10;
/// The longest part of the output that an error repeats, in bytes.
const SHOWN: usize = 2 << 10;

/// How long commands may run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandLimits {
    /// The time limit of one command.
    pub(crate) each: Duration,
}

impl Default for CommandLimits {
    fn default() -> Self {
        Self {
            each: Duration::from_mins(30),
        }
    }
}

/// Runs the request's commands in order, in the workspace and the task's sandbox, with `environmentSecrets` in their
/// environment. They get neither the caller's credential nor the key of the repository.
///
/// # Errors
/// When a command does not end with exit code 0. The commands behind it do not run.
pub(crate) async fn run_commands(
    programs: &Programs,
    request: &TaskRequest,
    redactor: &Redactor,
    limits: CommandLimits,
    cancelled: &CancellationToken,
) -> Result<(), StepError> {
    let total = request.pre_execution_commands.len();
    let shell = if Path::new("/bin/bash").exists() {
        "/bin/bash"
    } else {
        "/bin/sh"
    };
    for (index, command) in request.pre_execution_commands.iter().enumerate() {
        let name = format!("command {} of {total} in preExecutionCommands", index + 1);
        let arguments = vec!["-c".into(), command.expose().into()];
        let mut spec = programs.spec(shell.into(), arguments);
        let secrets = request.environment_secrets.iter();
        spec.environment
            .extend(secrets.map(|(name, value)| (name.clone(), value.to_zeroizing())));
        let kept = RunLimits {
            timeout: limits.each,
            output: OUTPUT,
        };
        let finished = match programs.run(spec, &[], kept, cancelled).await {
            Ok(finished) => finished,
            Err(ProgramError::Cancelled { .. }) => return Err(StepError::Cancelled),
            Err(ProgramError::Timeout { after, .. }) => {
                let seconds = after.as_secs();
                return Err(StepError::final_one(format!(
                    "{name} was ended after {seconds} s, its time limit"
                )));
            }
            Err(error) => return Err(StepError::transient(format!("{name}: {error}"))),
        };
        if finished.exit_code != 0 {
            return Err(StepError::final_one(failure(&name, &finished, redactor)));
        }
    }
    Ok(())
}

/// The message says which command failed, and not its text: that may hold secrets.
fn failure(name: &str, finished: &Finished, redactor: &Redactor) -> String {
    let output = if finished.stderr.trim_ascii().is_empty() {
        &finished.stdout
    } else {
        &finished.stderr
    };
    let output = String::from_utf8_lossy(output);
    let output = redactor.redact(output.trim());
    let mut from = output.len().saturating_sub(SHOWN);
    while !output.is_char_boundary(from) {
        from += 1;
    }
    let shown = output.get(from..).unwrap_or_default();
    let code = finished.exit_code;
    if shown.is_empty() {
        format!("{name} ended with exit code {code} and printed nothing")
    } else {
        format!("{name} ended with exit code {code}: {shown}")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::sandbox::unconfined;

    fn request(commands: &[&str]) -> TaskRequest {
        TaskRequest::from_value(json!({
            "prompt": "p", "anthropicApiKey": "sk-ant-of-the-caller",
            "environmentSecrets": {"TOKEN": "secret-of-the-task"},
            "preExecutionCommands": commands,
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn commands_run_in_order_until_one_fails() {
        let folder = tempfile::tempdir().unwrap();
        let (workspace, programs) = unconfined(folder.path()).await;
        let never = CancellationToken::new();
        let limits = CommandLimits::default();
        let good = request(&[
            "mkdir a && echo \"$TOKEN\" > a/token",
            "cd a; cat token > copy",
            "env > variables",
        ]);
        let redactor = Redactor::of(&good).unwrap();
        run_commands(&programs, &good, &redactor, limits, &never)
            .await
            .unwrap();
        let read = |name: &str| fs::read_to_string(workspace.root().join(name)).unwrap();
        assert_eq!(read("a/copy"), "secret-of-the-task\n");
        assert!(!read("variables").contains("sk-ant-of-the-caller"));

        let bad = request(&[
            "touch first",
            "echo \"token $TOKEN\" >&2; exit 7",
            "touch third",
        ]);
        let error = run_commands(&programs, &bad, &redactor, limits, &never)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "command 2 of 3 in preExecutionCommands ended with exit code 7: token [redacted]"
        );
        assert!(!error.is_transient());
        assert!(workspace.root().join("first").exists());
        assert!(!workspace.root().join("third").exists());

        let silent = request(&["exit 1"]);
        let error = run_commands(&programs, &silent, &redactor, limits, &never).await;
        assert!(error.unwrap_err().to_string().contains("printed nothing"));
        let flood = request(&["head -c 10000000 /dev/zero | tr '\\0' x; exit 1"]);
        let error = run_commands(&programs, &flood, &redactor, limits, &never).await;
        assert!(error.unwrap_err().to_string().len() < 3000);
        never.cancel();
        let error = run_commands(&programs, &silent, &redactor, limits, &never).await;
        assert!(matches!(error.unwrap_err(), StepError::Cancelled));
    }
}
