//! Runs other programs and shows the user what happens.

mod background;
mod progress;

use std::{
    iter,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use dev_servers::Process;

pub(crate) use self::background::Background;
use self::progress::Progress;

const TICK: Duration = Duration::from_millis(200);

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

/// Runs `command` and returns its standard output.
pub(crate) fn output(mut command: Command) -> anyhow::Result<Vec<u8>> {
    let shown = describe(&command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    ensure!(
        output.status.success(),
        "`{shown}` failed ({})",
        output.status
    );
    Ok(output.stdout)
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

/// A duration as `4:07 min`.
pub(crate) fn minutes(time: Duration) -> String {
    format!("{}:{:02} min", time.as_secs() / 60, time.as_secs() % 60)
}

/// The command line as a user would type it. Our command lines hold no secrets.
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
