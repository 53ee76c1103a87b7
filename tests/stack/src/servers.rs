use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{Process, StackError};

const START_LIMIT: Duration = Duration::from_secs(30);

/// A program of this workspace in the folder of the running one.
///
/// # Errors
/// It has not been built.
pub fn sibling_binary(name: &str) -> Result<PathBuf, StackError> {
    let running = env::current_exe().map_err(StackError::system("the program has no path"))?;
    // Test programs are one folder deeper than the others.
    let folder = running
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"));
    let program = folder.unwrap_or(Path::new(".")).join(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(StackError::NotBuilt(program))
}

/// The URL in a line `listening on URL`, which every server of this workspace prints.
#[must_use]
pub fn listening_url(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("listening on ")?;
    let url = rest.split_whitespace().next()?;
    let is_url = ["http://", "https://", "unix:"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    is_url.then(|| url.trim_end_matches('/').to_owned())
}

/// A running server of this workspace.
#[derive(Debug)]
pub struct Service {
    process: Process,
    url: String,
}

impl Service {
    /// Starts `codec-server dev` on the keyring in `folder`; port 0 is one that the system picks.
    ///
    /// # Errors
    /// The program cannot be executed, or the server does not come up.
    pub fn codec_server(program: &Path, folder: &Path, port: u16) -> Result<Self, StackError> {
        let mut command = Command::new(program);
        command
            .args(["dev", "--listen", &format!("127.0.0.1:{port}"), "--keyring"])
            .arg(folder);
        Self::start("the codec server", command)
    }

    /// Starts the scripted fake of Anthropic's API.
    ///
    /// # Errors
    /// The program cannot be executed, or the server does not come up.
    pub fn fake_anthropic(program: &Path) -> Result<Self, StackError> {
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0"]);
        Self::start("the Messages API", command)
    }

    /// Starts a server that says where it listens.
    ///
    /// # Errors
    /// The program cannot be executed, or the server does not come up.
    pub fn start(name: &str, command: Command) -> Result<Self, StackError> {
        let mut process = Process::spawn(name, command)?;
        let url = process.wait_for_line(START_LIMIT, listening_url)?;
        Ok(Self { process, url })
    }

    /// Its address, such as `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its process, to wait for its output or its end.
    #[must_use]
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends the server.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_taken_out_of_the_line() {
        let line = "listening on http://127.0.0.1:8081";
        assert_eq!(
            listening_url(line).as_deref(),
            Some("http://127.0.0.1:8081")
        );
        let line = "INFO listening on http://127.0.0.1:1/ (admin)";
        assert_eq!(listening_url(line).as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(
            listening_url("listening on unix:/run/x.sock").as_deref(),
            Some("unix:/run/x.sock")
        );
        assert_eq!(listening_url("not listening on anything"), None);
    }
}
