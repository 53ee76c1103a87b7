//! A real browser, driven by Playwright.

use std::{path::Path, process::Command};

use serde::{Deserialize, Serialize};
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
    /// Errors of its scripts, and what the browser refused to load.
    pub complaints: Vec<String>,
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
    /// The headers of the request that prove who asks, in lower case: `authorization`, `authorization-extras` and
    /// `cookie`, as far as it had them.
    pub proofs: Vec<String>,
}

/// What is done on a page. Buttons and fields are found by their names, as people find them.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase", untagged)]
pub enum Step<'a> {
    /// Go to another address, as the same person.
    Open {
        /// The address.
        open: &'a str,
    },
    /// Wait for a text.
    Wait {
        /// The text.
        wait: &'a str,
    },
    /// Click on a button.
    Click {
        /// Its name.
        click: &'a str,
    },
    /// Click on a link.
    Follow {
        /// Its name.
        follow: &'a str,
    },
    /// Write into a field.
    Fill {
        /// The field's label.
        fill: &'a str,
        /// The text.
        with: &'a str,
    },
    /// Write into the first editor for code.
    Code {
        /// The text.
        code: &'a str,
    },
    /// Choose a file.
    Upload {
        /// The field's label.
        upload: &'a str,
        /// The file.
        file: &'a Path,
    },
    /// Click on a button that saves a file.
    Download {
        /// The button's name.
        download: &'a str,
        /// Where the file goes.
        file: &'a Path,
    },
    /// Press a key.
    Press {
        /// Its name, such as `Tab`.
        press: &'a str,
    },
    /// Prefer dark or light colours.
    Dark {
        /// Whether dark.
        dark: bool,
    },
    /// Change the size of the window.
    Resize {
        /// Width and height in pixels.
        resize: (u32, u32),
    },
    /// Move the page until a text is at the top.
    Scroll {
        /// The text.
        scroll: &'a str,
    },
    /// Save what the window shows as a picture.
    Screenshot {
        /// Where it goes.
        screenshot: &'a Path,
    },
}

/// Opens `url` and waits up to `seconds` for `text` on the page.
///
/// # Panics
/// There is no browser, or it fails.
#[must_use]
pub fn open(url: &str, text: &str, seconds: u32) -> Page {
    walk(url, &[Step::Wait { wait: text }], seconds)
}

/// As [`open`]. When the page shows `text`, clicks on the buttons that `clicks` names, one after another, and waits for
/// `then`.
///
/// # Panics
/// As [`open`], and when there is no such button.
#[must_use]
pub fn click(url: &str, text: &str, clicks: &[&str], then: &str, seconds: u32) -> Page {
    let mut steps = vec![Step::Wait { wait: text }];
    steps.extend(clicks.iter().map(|click| Step::Click { click }));
    steps.push(Step::Wait { wait: then });
    walk(url, &steps, seconds)
}

/// Opens `url` and takes `steps`, each of them for up to `seconds`.
///
/// # Panics
/// As [`open`], and when a step cannot be taken.
#[must_use]
pub fn walk(url: &str, steps: &[Step<'_>], seconds: u32) -> Page {
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
        "seconds": seconds,
        "steps": steps,
    });
    serde_json::from_value(ask(command, &request)).expect("what the page shows")
}
