//! Scans exported histories. One file is one workflow.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use temporal_kms_codec_proto::json::{HistoryEvent, Part, parse_payload};

use super::{
    super::super::{
        exit::{self, Failure, Status},
        payload_file::PayloadFile,
        progress,
    },
    age,
    tally::{End, Tally, Workflow, seconds},
};

/// The types of the events that close a workflow.
const CLOSED: [&str; 6] = [
    "COMPLETED",
    "FAILED",
    "TIMED_OUT",
    "CANCELED",
    "TERMINATED",
    "CONTINUED_AS_NEW",
];
const PREFIX: &str = "EVENT_TYPE_WORKFLOW_EXECUTION_";

/// Sums up all files. A file that cannot be read is reported; the number of such files is returned too.
pub(super) fn scan(
    paths: &[PathBuf],
    retention: Option<Duration>,
    quiet: bool,
) -> Result<(Tally, usize), Failure> {
    let mut tally = Tally::default();
    let mut problems = 0;
    let progress = progress::count(quiet, "histories");
    let mut all = Vec::new();
    for path in paths {
        files(path, &mut all).map_err(|error| {
            let message = format!("{}: cannot read the input: {error}", path.display());
            Failure::new(Status::NoInput, message)
        })?;
    }
    if all.is_empty() {
        let message = "there is no file that ends in .json in these folders";
        return Err(Failure::new(Status::NoInput, message));
    }
    for path in all {
        match workflow(&path, retention) {
            Ok((workflow, end)) => tally.add(workflow, end),
            Err(error) if paths.len() == 1 && !path.is_dir() && paths.contains(&path) => {
                return Err(error);
            }
            Err(error) => {
                problems += 1;
                progress.suspend(|| exit::say(format_args!("{error}")));
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok((tally, problems))
}

/// The files at a path: itself, or those in a folder that end in `.json`. Links are not followed into folders.
fn files(path: &Path, all: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        all.push(path.to_owned());
        return Ok(());
    }
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "json") {
                found.push(path);
            }
        }
        found.sort();
        all.append(&mut found);
    }
    Ok(())
}

fn workflow(path: &Path, retention: Option<Duration>) -> Result<(Workflow, End), Failure> {
    let file = PayloadFile::open(path)?;
    let mut workflow = Workflow::default();
    let hidden = indicatif::ProgressBar::hidden();
    let last = file.read(&hidden, |parts| {
        for part in parts {
            match part {
                Part::Payload { json, at } => {
                    let payload = parse_payload(&json).ok();
                    workflow.add_found(payload.as_ref(), age::in_file(&at));
                }
                Part::TooLong => workflow.add_unreadable(),
                _ => {}
            }
        }
        Ok(())
    })?;
    Ok((workflow, end(last.as_ref(), retention)))
}

fn end(last: Option<&HistoryEvent>, retention: Option<Duration>) -> End {
    let Some(last) = last else {
        return End::Unknown;
    };
    let kind = last.kind.as_deref().unwrap_or_default();
    // The Web UI writes `WorkflowExecutionCompleted`.
    let name = kind.strip_prefix(PREFIX).map(str::to_owned);
    let name = name.or_else(|| {
        let name = kind.strip_prefix("WorkflowExecution")?;
        let words = name
            .char_indices()
            .fold(String::new(), |mut words, (at, c)| {
                if at > 0 && c.is_ascii_uppercase() {
                    words.push('_');
                }
                words.push(c.to_ascii_uppercase());
                words
            });
        Some(words)
    });
    if !name.is_some_and(|name| CLOSED.contains(&name.as_str())) {
        return End::Open;
    }
    let time = last.time.as_deref().and_then(seconds);
    match (time, retention) {
        (Some(time), Some(retention)) => End::KeptUntil(time.saturating_add(retention.as_secs())),
        _ => End::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_tells_whether_a_workflow_is_open() {
        let day = Some(Duration::from_hours(24));
        let event = |kind: &str| {
            let document = format!(
                r#"{{"eventId":"9","eventTime":"1970-01-01T00:00:10.5Z","eventType":"{kind}"}}"#
            );
            let mut stream = temporal_kms_codec_proto::json::PayloadStream::new(1000);
            stream.push(document.as_bytes()).unwrap();
            stream.last_event().cloned().unwrap()
        };
        for kind in [
            "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED",
            "EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
            "WorkflowExecutionTimedOut",
        ] {
            let event = event(kind);
            assert_eq!(end(Some(&event), day), End::KeptUntil(86_410), "{kind}");
            assert_eq!(end(Some(&event), None), End::Unknown);
        }
        for kind in [
            "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED",
            "EVENT_TYPE_ACTIVITY_TASK_COMPLETED",
            "WorkflowTaskCompleted",
        ] {
            assert_eq!(end(Some(&event(kind)), day), End::Open, "{kind}");
        }
        assert_eq!(end(None, day), End::Unknown);
    }
}
