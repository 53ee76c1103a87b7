//! What `setup` prints: commands for a shell, a line for each step, or JSON.

use std::fmt::Write as _;

use serde::Serialize;
use temporal_kms_codec_service::{
    exit::{Failure, Status, print},
    steps::{Step, StepOutcome},
};

use super::runner::Planned;

/// The answer for programs. They read the field names, so they do not change.
#[derive(Serialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each of them is a field of the answer"
)]
pub(super) struct Report<'r> {
    pub(super) project: &'r str,
    pub(super) url: Option<&'r str>,
    pub(super) dry_run: bool,
    pub(super) tear_down: bool,
    pub(super) changed: bool,
    pub(super) failed: bool,
    pub(super) steps: &'r [Step],
}

impl Report<'_> {
    /// Prints it as JSON.
    pub(super) fn print(&self) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(self)
            .map_err(|error| Failure::new(Status::Software, error))?;
        print(&json)
    }
}

/// Whether a step changed something.
pub(super) fn has_changed(steps: &[Step]) -> bool {
    steps
        .iter()
        .any(|step| step.outcome() == StepOutcome::Changed)
}

/// A script that does what the plan does, without looking first.
pub(super) fn script(plan: &[Planned], project: &str) -> String {
    let mut script = format!(
        "#!/bin/sh\n# What `claude-tasks setup gcp` does. It looks before each step; this script does not.\nset -eu\n\
         export CLOUDSDK_CORE_DISABLE_PROMPTS=1\n\
         PROJECT_NUMBER=$(gcloud projects describe {project} --format='value(projectNumber)')\n"
    );
    for step in plan {
        let _ = write!(script, "\n# {}.\n", step.what);
        for command in &step.commands {
            script.push_str(&command.shell());
        }
    }
    script
}
