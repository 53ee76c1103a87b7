//! The steps of a set-up: what each of them does, and how it ended.

use serde::Serialize;

use crate::exit::{Failure, Status};

/// One thing that a set-up does. Programs read the field names, so they do not change.
#[derive(Debug, Serialize)]
pub struct Step {
    #[serde(rename = "step")]
    name: &'static str,
    what: String,
    outcome: StepOutcome,
    /// The commands of another program that do it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    commands: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip)]
    exit: Option<Status>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StepOutcome {
    /// It was done.
    Changed,
    /// It was already as requested.
    Unchanged,
    /// A dry run would do it.
    Planned,
    /// A dry run would do it if it is missing. The service reveals that only when it changes it.
    PlannedIfMissing,
    /// It was tried and failed.
    Failed,
    /// It was not tried, because it needs a step that failed.
    Skipped,
}

impl Step {
    /// The step `name`, which did `what`: "create key k".
    #[must_use]
    pub fn new(name: &'static str, what: String, outcome: StepOutcome) -> Self {
        Self {
            name,
            what,
            outcome,
            commands: Vec::new(),
            error: None,
            exit: None,
        }
    }

    /// A step that failed, and with which status the program ends.
    #[must_use]
    pub fn failed(name: &'static str, what: String, exit: Status, error: &impl ToString) -> Self {
        Self {
            error: Some(error.to_string()),
            exit: Some(exit),
            ..Self::new(name, what, StepOutcome::Failed)
        }
    }

    /// The same step with the commands that do it.
    #[must_use]
    pub fn with_commands(self, commands: Vec<String>) -> Self {
        Self { commands, ..self }
    }

    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> StepOutcome {
        self.outcome
    }

    /// A line for people.
    #[must_use]
    pub fn text(&self) -> String {
        let how = match self.outcome {
            StepOutcome::Changed => "done",
            StepOutcome::Unchanged => "unchanged",
            StepOutcome::Planned => "would do",
            StepOutcome::PlannedIfMissing => "would do if missing",
            StepOutcome::Failed => "FAILED",
            StepOutcome::Skipped => "not done",
        };
        format!("{how}: {}", self.what)
    }
}

/// How the program ends after these steps.
///
/// # Errors
/// When a step failed. The message has the reasons, and says that the set-up can be run again.
pub fn result(steps: &[Step]) -> Result<(), Failure> {
    let failed = || {
        steps
            .iter()
            .filter(|step| step.outcome == StepOutcome::Failed)
    };
    let Some(exit) = failed().find_map(|step| step.exit) else {
        return Ok(());
    };
    let reasons: Vec<_> = failed()
        .map(|step| {
            format!(
                "cannot {}: {}",
                step.what,
                step.error.as_deref().unwrap_or("")
            )
        })
        .collect();
    Err(Failure::new(
        exit,
        format_args!(
            "{}\ncorrect this and run the same command again; finished steps are not repeated",
            reasons.join("\n")
        ),
    ))
}
