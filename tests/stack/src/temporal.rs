use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{Process, StackError, free_port, wait_for_port};

const START_LIMIT: Duration = Duration::from_mins(1);
const ATTEMPTS: usize = 3;

/// How a Temporal dev server is started.
#[derive(Clone, Debug, Default)]
pub struct TemporalOptions {
    /// The codec server that the Web UI asks; without it there is no codec in the UI.
    pub ui_codec_endpoint: Option<String>,
    /// Whether the Web UI runs.
    pub ui: bool,
    /// Namespaces beside `default`.
    pub namespaces: Vec<String>,
    /// The gRPC port; without it a free one.
    pub port: Option<u16>,
    /// The port of the Web UI; without it a free one.
    pub ui_port: Option<u16>,
    /// The file of the data; without it they are in memory.
    pub database: Option<PathBuf>,
}

/// A real Temporal server.
#[derive(Debug)]
pub struct TemporalServer {
    process: Process,
    program: PathBuf,
    port: u16,
    ui_port: Option<u16>,
    home: TempDir,
}

impl TemporalServer {
    /// Starts `temporal server start-dev` and waits until it serves.
    ///
    /// # Errors
    /// The program cannot be executed, or the server does not come up.
    pub fn start(program: &Path, options: &TemporalOptions) -> Result<Self, StackError> {
        // Another program may take a free port before the server does, unless the caller named it.
        let fixed = options.port.is_some() || options.ui_port.is_some();
        let mut left = if fixed { 1 } else { ATTEMPTS };
        loop {
            left -= 1;
            match Self::start_once(program, options) {
                Err(StackError::Ended { .. }) if left > 0 => {}
                outcome => return outcome,
            }
        }
    }

    fn start_once(program: &Path, options: &TemporalOptions) -> Result<Self, StackError> {
        let port = options.port.map_or_else(free_port, Ok)?;
        let ui_port = if options.ui {
            Some(options.ui_port.map_or_else(free_port, Ok)?)
        } else {
            None
        };
        let home = TempDir::new().map_err(StackError::system("no temporary folder"))?;
        let mut command = cli(program, home.path());
        command.args([
            "server",
            "start-dev",
            "--ip",
            "127.0.0.1",
            "--log-level",
            "error",
        ]);
        command.args(["--port", &port.to_string()]);
        match ui_port {
            Some(ui_port) => command.args(["--ui-port", &ui_port.to_string()]),
            None => command.arg("--headless"),
        };
        if let Some(endpoint) = &options.ui_codec_endpoint {
            command.args(["--ui-codec-endpoint", endpoint]);
        }
        if let Some(file) = &options.database {
            command.arg("--db-filename").arg(file);
        }
        for namespace in &options.namespaces {
            command.args(["--namespace", namespace]);
        }
        let mut process = Process::spawn("the Temporal server", command)?;
        // Printed after the namespaces are there.
        process.wait_for_line(START_LIMIT, |line| {
            line.starts_with("Server:").then_some(())
        })?;
        let server = Self {
            process,
            program: program.to_owned(),
            port,
            ui_port,
            home,
        };
        let mut ports = [Some(port), ui_port].into_iter().flatten();
        if ports.all(|port| wait_for_port(port, START_LIMIT)) {
            return Ok(server);
        }
        Err(StackError::NotReady {
            name: "the Temporal server".into(),
            waited: START_LIMIT,
            output: server.process.output(),
        })
    }

    /// `HOST:PORT` of the gRPC service.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The gRPC service as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The Web UI, where it runs.
    #[must_use]
    pub fn ui_url(&self) -> Option<String> {
        self.ui_port.map(|port| format!("http://127.0.0.1:{port}"))
    }

    /// The `temporal` command line at this server, untouched by the user's own configuration.
    #[must_use]
    pub fn cli(&self) -> Command {
        let mut command = cli(&self.program, self.home.path());
        command.env("TEMPORAL_ADDRESS", self.address());
        command
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Ends the server.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}

fn cli(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home);
    command
}
