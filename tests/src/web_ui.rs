//! Temporal's Web UI as a program of its own, newer than the one inside `temporal`.

use std::{fs, process::Command, time::Duration};

use dev_servers::{Process, free_port, wait_for_port};
use tempfile::TempDir;

use crate::tool;

const START_LIMIT: Duration = Duration::from_mins(1);

/// A Web UI that asks a codec server.
#[derive(Debug)]
pub struct WebUi {
    url: String,
    _process: Process,
    _folder: TempDir,
}

impl WebUi {
    /// Starts it for the Temporal server at `temporal` and the codec server at `codec_url`.
    ///
    /// # Panics
    /// It is not installed or does not start.
    #[must_use]
    pub fn start(temporal: &str, codec_url: &str) -> Self {
        let port = free_port().expect("a port");
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("config");
        fs::create_dir(&config).expect("a folder");
        let text = format!(
            "temporalGrpcAddress: {temporal}\nhost: 127.0.0.1\nport: {port}\nenableUi: true\n\
             codec:\n  endpoint: {codec_url}\n"
        );
        // The name is that of its default environment.
        fs::write(config.join("development.yaml"), text).expect("a file");
        let mut command = Command::new(tool("TKC_UI_SERVER"));
        command.arg("--root").arg(folder.path()).arg("start");
        let process = Process::spawn("the Web UI", command).expect("it runs");
        let is_up = wait_for_port(port, START_LIMIT);
        assert!(is_up, "{}", process.output());
        Self {
            url: format!("http://127.0.0.1:{port}"),
            _process: process,
            _folder: folder,
        }
    }

    /// Where the browser finds it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}
