//! Does the steps of a plan one after the other. Each step looks before it changes something.

use std::path::PathBuf;

use serde_json::Value;
use temporal_kms_codec_service::{
    exit::Status,
    steps::{Step, StepOutcome},
};

use super::gcloud::{Gcloud, GcloudError};

/// One step of a plan.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// The step's name, for programs.
    pub(super) name: &'static str,
    /// What it does: "create the bucket b".
    pub(super) what: String,
    /// How to see whether it is done already.
    pub(super) look: Look,
    /// Whether it makes something, or removes it.
    pub(super) wanted: Wanted,
    /// What does it.
    pub(super) commands: Vec<Gcloud>,
}

/// Where a step looks.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// At the lines that this command prints: all of these are there.
    Lines(Gcloud, Vec<String>),
    /// At the policy that this command prints as JSON: it has the binding.
    Policy(Gcloud, Binding),
    /// At a file of this machine.
    File(PathBuf),
}

/// A binding of an IAM policy.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) role: &'static str,
    pub(super) member: String,
    /// The title of its condition.
    pub(super) condition: Option<&'static str>,
}

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The thing is there afterwards.
    There,
    /// It is gone afterwards.
    Gone,
}

/// The plan's steps as a dry run tells them. Nothing is called.
pub(super) fn dry(plan: &[Planned]) -> Vec<Step> {
    plan.iter()
        .map(|step| {
            let told = Step::new(step.name, step.what.clone(), StepOutcome::PlannedIfMissing);
            let outcome = match step.wanted {
                Wanted::There => told,
                Wanted::Gone => Step::new(step.name, step.what.clone(), StepOutcome::Planned),
            };
            outcome.with_commands(step.commands.iter().map(Gcloud::shell).collect())
        })
        .collect()
}

/// Does the steps, and tells each of them. The first failure ends it: later steps need the earlier ones.
pub(super) async fn run(plan: &[Planned], number: &str, mut tell: impl FnMut(&Step)) -> Vec<Step> {
    let mut done: Vec<Step> = Vec::with_capacity(plan.len());
    let mut has_failed = false;
    for step in plan {
        let what = step.what.clone();
        let told = if has_failed {
            Step::new(step.name, what, StepOutcome::Skipped)
        } else {
            match one(step, number).await {
                Ok(outcome) => Step::new(step.name, what, outcome),
                Err(error) => {
                    has_failed = true;
                    Step::failed(step.name, what, error.status, &error)
                }
            }
        };
        tell(&told);
        done.push(told);
    }
    done
}

async fn one(step: &Planned, number: &str) -> Result<StepOutcome, GcloudError> {
    if step.look.is_there(number).await? == (step.wanted == Wanted::There) {
        return Ok(StepOutcome::Unchanged);
    }
    for command in &step.commands {
        command.run(number).await?;
    }
    Ok(StepOutcome::Changed)
}

impl Look {
    async fn is_there(&self, number: &str) -> Result<bool, GcloudError> {
        match self {
            Self::Lines(command, wanted) => {
                let printed = command.run(number).await?;
                Ok(wanted
                    .iter()
                    .all(|wanted| printed.lines().any(|line| line.trim() == wanted)))
            }
            Self::Policy(command, binding) => {
                let policy = command.run(number).await?;
                let policy: Value = serde_json::from_str(&policy).map_err(|error| {
                    GcloudError::new(
                        Status::Data,
                        format!("gcloud printed an IAM policy that is not JSON: {error}"),
                    )
                })?;
                Ok(binding.is_in(&policy))
            }
            Self::File(path) => Ok(path.exists()),
        }
    }
}

impl Binding {
    fn is_in(&self, policy: &Value) -> bool {
        let bindings = policy.get("bindings").and_then(Value::as_array);
        bindings.into_iter().flatten().any(|binding| {
            let title = binding.pointer("/condition/title").and_then(Value::as_str);
            let members = binding.get("members").and_then(Value::as_array);
            binding.get("role").and_then(Value::as_str) == Some(self.role)
                && title == self.condition
                && members
                    .into_iter()
                    .flatten()
                    .any(|member| member.as_str() == Some(&self.member))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_binding_counts_only_with_its_condition() {
        let policy = json!({ "bindings": [
            { "role": "r", "members": ["user:a@b.c"], "condition": { "title": "some" } },
            { "role": "q", "members": ["user:d@e.f", "user:a@b.c"] },
        ]});
        let binding = |role, condition| Binding {
            role,
            member: "user:a@b.c".to_owned(),
            condition,
        };
        assert!(binding("r", Some("some")).is_in(&policy));
        assert!(binding("q", None).is_in(&policy));
        assert!(!binding("r", None).is_in(&policy));
        assert!(!binding("q", Some("some")).is_in(&policy));
        assert!(!binding("q", None).is_in(&json!({ "etag": "ACAB" })));
    }
}
