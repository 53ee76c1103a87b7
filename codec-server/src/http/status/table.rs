//! A table of the state, for the page.

use std::time::Duration;

use serde::Serialize;

/// A table with a title.
#[derive(Serialize)]
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) columns: &'static [&'static str],
    pub(super) rows: Vec<Vec<String>>,
}

/// An age in whole seconds.
pub(super) fn shown_age(age: Duration) -> String {
    humantime::format_duration(Duration::from_secs(age.as_secs())).to_string()
}
