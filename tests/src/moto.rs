//! moto, the emulator of AWS: <https://docs.getmoto.org>.

use std::{process::Command, time::Duration};

use dev_servers::Process;

use crate::{
    places::{Place, Places},
    tool,
};

const START_LIMIT: Duration = Duration::from_mins(1);
/// Each takes 100 MB and a core while it starts.
static PLACES: Places = Places::new(4);

/// A running moto, with an account of its own.
#[derive(Debug)]
pub struct Moto {
    _process: Process,
    url: String,
    _place: Place,
}

impl Moto {
    /// Starts moto on a port that the system picks.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`start`](Self::start), with environment variables.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_with(variables: &[(&str, &str)]) -> Self {
        let place = PLACES.take();
        let mut command = Command::new(tool("TKC_MOTO"));
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        command.envs(variables.iter().copied());
        let started = Process::spawn("moto", command).and_then(|mut process| {
            let url = process.wait_for_line(START_LIMIT, listening_url)?;
            Ok(Self {
                _process: process,
                url,
                _place: place,
            })
        });
        match started {
            Ok(moto) => moto,
            Err(error) => panic!("{error}"),
        }
    }

    /// Where it is, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn listening_url(line: &str) -> Option<String> {
    let (_, url) = line.split_once("Running on ")?;
    url.starts_with("http://127.0.0.1:")
        .then(|| url.trim().to_owned())
}
