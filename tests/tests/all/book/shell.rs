//! The commands of a document in one shell, one after another, compared with the output that the document shows.

use std::{
    fs,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::blocks::Block;

const LIMIT: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(20);
/// Matches any text in a line, and for any number of lines where it is alone.
const ANY: &str = "…";

/// A command of a document.
#[derive(Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) text: String,
    /// The output that the document shows. Empty: nothing is said about it.
    pub(crate) shown: Vec<String>,
}

impl Step {
    fn stays_in_the_background(&self) -> bool {
        self.text.trim_end().ends_with('&')
    }
}

/// The commands of a block. Each command of a `console` block begins with `$ `; a block of another language is one command.
pub(crate) fn steps(block: &Block<'_>) -> Vec<Step> {
    if block.language != "console" {
        return vec![Step {
            text: block.lines.join("\n"),
            shown: Vec::new(),
        }];
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut open = false;
    let mut end = None;
    for line in &block.lines {
        if let Some(command) = line.strip_prefix("$ ").filter(|_| !open) {
            steps.push(Step {
                text: command.to_owned(),
                shown: Vec::new(),
            });
            end = command
                .split_once("<<'")
                .and_then(|(_, rest)| rest.split('\'').next());
            open = end.is_some() || command.ends_with('\\');
            continue;
        }
        let step = steps
            .last_mut()
            .expect("a console block begins with a command");
        if open {
            step.text.push('\n');
            step.text.push_str(line);
            open = end.map_or_else(|| line.ends_with('\\'), |end| *line != end);
        } else {
            step.shown.push((*line).to_owned());
        }
    }
    steps
}

/// A shell in an empty folder. It and everything that it started ends when it is dropped.
pub(crate) struct Shell {
    process: Child,
    input: Option<ChildStdin>,
    outputs: PathBuf,
    count: usize,
}

impl Shell {
    /// Starts a shell in `folder` with these variables and no others. Outputs go to `outputs`.
    pub(crate) fn start(folder: &Path, outputs: &Path, variables: &[(String, String)]) -> Self {
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc"]).current_dir(folder);
        command.env_clear().envs(variables.iter().cloned());
        // A group of its own, so that nothing that it starts outlives it.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let mut process = command.spawn().expect("bash runs");
        let input = process.stdin.take();
        Self {
            process,
            input,
            outputs: outputs.to_owned(),
            count: 0,
        }
    }

    /// Runs a command, and compares what it prints. A command that fails is an error, unless `fails`.
    pub(crate) fn run(&mut self, step: &Step, fails: bool) -> Result<(), String> {
        self.count += 1;
        let file = |kind: &str| self.outputs.join(format!("{}.{kind}", self.count));
        let (out, err, status) = (file("out"), file("err"), file("status"));
        let text = format!(
            "{{ {}\n}} > '{}' 2> '{}' < /dev/null; status=$?; echo $status > '{}'; (exit $status)\n",
            step.text,
            out.display(),
            err.display(),
            status.display()
        );
        let input = self.input.as_mut().expect("the shell takes commands");
        input
            .write_all(text.as_bytes())
            .expect("the shell takes commands");
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let report = |what: &str| {
            format!(
                "{what}\n{}\nprinted:\n{}{}",
                step.text,
                read(&out),
                read(&err)
            )
        };
        let started = Instant::now();
        let late = || {
            std::thread::sleep(POLL);
            started.elapsed() > LIMIT
        };
        while !read(&status).ends_with('\n') {
            if late() {
                return Err(report("this command does not end:"));
            }
        }
        if step.stays_in_the_background() {
            while !is_shown(&step.shown, &read(&out)) {
                if late() {
                    return Err(report(
                        "this command does not print what the document shows:",
                    ));
                }
            }
            return Ok(());
        }
        if (read(&status).trim() == "0") == fails {
            return Err(report(
                "the document and the exit code of this command differ:",
            ));
        }
        if is_shown(&step.shown, &read(&out)) {
            Ok(())
        } else {
            Err(report(&format!(
                "this command does not print\n{}\nbut:",
                step.shown.join("\n")
            )))
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // `temporal` and the servers end orderly after SIGTERM. SIGKILL is for those that do not.
        let group = Pid::from_raw(self.process.id().cast_signed());
        let _ = killpg(group, Signal::SIGTERM);
        drop(self.input.take());
        let started = Instant::now();
        while killpg(group, None).is_ok() && started.elapsed() < Duration::from_secs(10) {
            let _ = self.process.try_wait();
            std::thread::sleep(POLL);
        }
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

/// Whether `printed` is what a document shows.
fn is_shown(shown: &[String], printed: &str) -> bool {
    let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
    let shown: Vec<&str> = shown.iter().map(|line| line.trim_end()).collect();
    shown.is_empty() || lines_match(&shown, &printed)
}

fn lines_match(shown: &[&str], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((&ANY, rest)) => {
            (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..]))
        }
        Some((line, rest)) => match printed.split_first() {
            Some((first, others)) => line_matches(line, first) && lines_match(rest, others),
            None => false,
        },
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let mut parts = shown.split(ANY);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn a_console_block_is_cut_into_commands() {
    let lines = vec![
        "$ a \\",
        "    b",
        "out",
        "$ cat <<'END'",
        "$ x",
        "END",
        "$ c",
    ];
    let block = Block {
        line: 1,
        language: "console",
        lines,
        not_run: None,
    };
    let found: Vec<_> = steps(&block)
        .into_iter()
        .map(|step| (step.text, step.shown))
        .collect();
    let step = |text: &str, shown: &[&str]| {
        (
            text.to_owned(),
            shown
                .iter()
                .map(|line| (*line).to_owned())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        found,
        [
            step("a \\\n    b", &["out"]),
            step("cat <<'END'\n$ x\nEND", &[]),
            step("c", &[])
        ]
    );
}

#[test]
fn dots_stand_for_text_and_for_lines() {
    let matches = |shown: &[&str], printed: &str| {
        let shown: Vec<String> = shown.iter().map(|line| (*line).to_owned()).collect();
        is_shown(&shown, printed)
    };
    assert!(matches(&[], "anything\n"));
    assert!(matches(&["a … c", "…"], "a b c\nd\ne\n") && matches(&["…", "b"], "b\n"));
    assert!(matches(&["x: Ag…"], "x: AgBt\n"));
    assert!(
        !matches(&["a"], "a\nb\n") && !matches(&["a…c"], "ab\n") && !matches(&["…", "b"], "a\n")
    );
}

#[test]
fn a_shell_keeps_variables_and_tells_failures() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    let mut shell = Shell::start(folder.path(), folder.path(), &[path]);
    let step = |text: &str, shown: &str| Step {
        text: text.to_owned(),
        shown: vec![shown.to_owned()],
    };
    shell
        .run(&step("export X=1; sleep 600 &", "…"), false)
        .expect("it runs");
    shell
        .run(&step("echo $X", "1"), false)
        .expect("it prints 1");
    shell.run(&step("(exit 3)", "…"), true).expect("it fails");
    shell
        .run(&step("echo $?", "3"), false)
        .expect("the code of the command before");
    assert!(shell.run(&step("false", "…"), false).is_err());
    assert!(shell.run(&step("echo 2", "1"), false).is_err());
}
