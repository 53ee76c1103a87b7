//! The program, and its answers.

use std::{
    path::Path,
    process::{Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program;

/// `codec-server keys` in a folder of its own, with nobody at the terminal.
pub(crate) struct Program {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Program {
    /// With these variables and no others.
    pub(crate) fn new(variables: Vec<(&'static str, String)>) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            variables,
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let variables = self.variables.iter();
        program()
            .envs(variables.map(|(name, value)| (name, value)))
            .current_dir(self.folder())
            .arg("keys")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    #[track_caller]
    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        for (name, value) in &self.variables {
            let secret = name.contains("SECRET");
            assert!(!secret || !error.contains(value), "{arguments:?}");
        }
        String::from_utf8(output.stdout).unwrap()
    }

    /// The exit status, the report, and what was said on stderr.
    #[track_caller]
    pub(crate) fn failed(&self, arguments: &[&str]) -> (i32, Value, String) {
        let output = self.run(&[arguments, &["--json"]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        let code = output.status.code().unwrap();
        assert_ne!(code, 0, "{arguments:?}");
        let report = serde_json::from_slice(&output.stdout);
        (code, report.unwrap_or_else(|_| panic!("{error}")), error)
    }

    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.text(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap()
    }
}

/// The steps of `keys setup` with their outcomes.
pub(crate) fn outcomes(report: &Value) -> Vec<(&str, &str)> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps
        .map(|step| {
            (
                step["step"].as_str().unwrap(),
                step["outcome"].as_str().unwrap(),
            )
        })
        .collect()
}
