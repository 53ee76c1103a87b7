//! Shows that a long command still runs.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{background::in_background, minutes, note};

const REPORT_EVERY: Duration = Duration::from_secs(30);
const SHOWN_WIDTH: usize = 60;

/// One line that moves on a terminal, and a line now and then elsewhere.
pub(super) struct Progress {
    title: String,
    started: Instant,
    reported: std::cell::Cell<Instant>,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn start(title: &str) -> Self {
        let alone = !in_background();
        let bar = (alone && io::stderr().is_terminal()).then(|| {
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

    pub(super) fn tick(&self, last_line: &str) {
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
                "{} … {}: {line}",
                self.title,
                minutes(self.started.elapsed())
            ));
        }
    }

    pub(super) fn end(self, how: &str) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        note(&format!(
            "{}: {how} in {}",
            self.title,
            minutes(self.started.elapsed())
        ));
    }
}
