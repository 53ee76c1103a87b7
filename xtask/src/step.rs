//! Other programs, run so that one sees what happens.

use std::{
    io::{self, IsTerminal},
    iter,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use dev_servers::Process;
use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(200);
const REPORT_EVERY: Duration = Duration::from_secs(30);
const SHOWN_WIDTH: usize = 60;

/// Prints what is done next.
pub(crate) fn heading(text: &str) {
    anstream::println!("\x1b[1;32m==>\x1b[0m \x1b[1m{text}\x1b[0m");
}

/// Prints a detail below a heading.
pub(crate) fn note(text: &str) {
    anstream::println!("    {text}");
}

/// Runs `command` with its output shown as it comes.
pub(crate) fn loudly(mut command: Command) -> anyhow::Result<()> {
    let shown = describe(&command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    ensure!(status.success(), "`{shown}` failed ({status})");
    Ok(())
}

/// Runs `command` with one line of progress; its output is shown only when it fails.
pub(crate) fn quietly(title: &str, command: Command) -> anyhow::Result<()> {
    let shown = describe(&command);
    let mut process = Process::spawn(title, command)?;
    let progress = Progress::start(title);
    let status = loop {
        if let Ok(status) = process.wait(TICK) {
            break status;
        }
        progress.tick(&process.last_line().unwrap_or_default());
    };
    if !status.success() {
        progress.end("failed");
        bail!(
            "`{shown}` failed ({status}); its last output:\n{}",
            process.last_output()
        );
    }
    progress.end("done");
    Ok(())
}

/// The command line as one would type it; none of ours holds a secret.
pub(crate) fn describe(command: &Command) -> String {
    let words = iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|word| quote(&word.to_string_lossy())).collect();
    words.join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// One line that moves on a terminal, and a line now and then elsewhere.
struct Progress {
    title: String,
    started: Instant,
    reported: std::cell::Cell<Instant>,
    bar: Option<ProgressBar>,
}

impl Progress {
    fn start(title: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("    {spinner} {prefix} [{elapsed}] {msg:.dim}");
            let bar = ProgressBar::new_spinner().with_prefix(title.to_owned());
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        if bar.is_none() {
            note(&format!("{title} …"));
        }
        let started = Instant::now();
        Self {
            title: title.to_owned(),
            started,
            reported: started.into(),
            bar,
        }
    }

    fn tick(&self, last_line: &str) {
        let line: String = last_line
            .chars()
            .filter(|c| !c.is_control())
            .take(SHOWN_WIDTH)
            .collect();
        if let Some(bar) = &self.bar {
            bar.set_message(line);
            bar.tick();
        } else if self.reported.get().elapsed() >= REPORT_EVERY {
            self.reported.set(Instant::now());
            note(&format!(
                "{} … {} s: {line}",
                self.title,
                self.started.elapsed().as_secs()
            ));
        }
    }

    fn end(self, how: &str) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        note(&format!(
            "{}: {how} in {} s",
            self.title,
            self.started.elapsed().as_secs()
        ));
    }
}
