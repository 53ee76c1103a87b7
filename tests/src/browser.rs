//! A real browser, driven by Playwright.

use std::{path::Path, process::Command};

use serde::Deserialize;
use serde_json::json;

use dev_servers::ask;

use crate::{places::Places, tool};

/// One browser at a time: several are slow enough to miss what they wait for.
static PLACES: Places = Places::new(1);

/// What a page shows.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// Whether the text that was waited for has come.
    pub found: bool,
    /// Everything that one can read on it.
    pub shown: String,
    /// What the page has asked for.
    pub answers: Vec<Answer>,
}

/// An answer that a page got.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// The method of the request.
    pub method: String,
    /// What was asked for.
    pub url: String,
    /// The status.
    pub status: u16,
}

/// Opens `url` and waits up to `seconds` for `text` on the page.
///
/// # Panics
/// There is no browser, or it fails.
#[must_use]
pub fn open(url: &str, text: &str, seconds: u32) -> Page {
    click(url, text, &[], "", seconds)
}

/// As [`open`]. When the page shows `text`, clicks on the buttons that `clicks` names, one after another, and waits for
/// `then`.
///
/// # Panics
/// As [`open`], and when there is no such button.
#[must_use]
pub fn click(url: &str, text: &str, clicks: &[&str], then: &str, seconds: u32) -> Page {
    let _place = PLACES.take();
    let library = tool("TKC_PLAYWRIGHT");
    let modules = library
        .ancestors()
        .find(|folder| folder.ends_with("node_modules"));
    let mut command = Command::new("node");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/show.cjs"));
    command.env("NODE_PATH", modules.expect("a folder of node_modules"));
    let request = json!({
        "chromium": tool("TKC_CHROMIUM"),
        "url": url,
        "text": text,
        "clicks": clicks,
        "then": then,
        "seconds": seconds,
    });
    serde_json::from_value(ask(command, &request)).expect("what the page shows")
}
