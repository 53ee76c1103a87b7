//! The task's end of the egress proxy: a port at the loopback address of the task's own network. Programs find it by the usual
//! variables. A process in the sandbox passes each connection on to the proxy's socket.

use std::{
    io,
    net::{Ipv4Addr, TcpListener as StdListener},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UnixStream},
    runtime::Builder,
    sync::Semaphore,
    time::sleep,
};

use super::supervisor::FAILED;
use crate::print;

/// Each program of a task has a network of its own, in which all ports are free. Squid has made this one known.
const PORT: u16 = 3128;
/// The URL of [`PORT`].
const URL: &str = "http://127.0.0.1:3128";
/// Servers of the task itself.
const DIRECT: &str = "localhost,127.0.0.1,::1";
/// How many connections are passed on at the same time. Others wait. The proxy takes as many.
const CONNECTIONS: usize = 64;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The variables by which programs find the proxy. Some read them in capitals only, others in small letters only.
pub(super) const VARIABLES: [(&str, &str); 8] = [
    ("ALL_PROXY", URL),
    ("HTTPS_PROXY", URL),
    ("HTTP_PROXY", URL),
    ("NO_PROXY", DIRECT),
    ("all_proxy", URL),
    ("http_proxy", URL),
    ("https_proxy", URL),
    ("no_proxy", DIRECT),
];

/// Listens, and starts the process that passes connections on to `socket`. It ends with the sandbox.
pub(super) fn start(socket: &Path) -> io::Result<()> {
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    Command::new("/proc/self/exe")
        .arg("forward")
        .arg("--socket")
        .arg(socket)
        .arg0("claude-tasks")
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
}

/// What the command `forward` passes connections on to. Only the command `confine` starts it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Forward {
    /// The proxy's socket.
    #[arg(long)]
    socket: PathBuf,
}

/// The command `forward`: accepts connections at the listener that is its standard input, until it is killed.
#[must_use]
pub(crate) fn forward(settings: &Forward) -> ExitCode {
    let served = Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(serve(settings)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print::note(&format!("claude-tasks forward: {error}"));
            FAILED.into()
        }
    }
}

async fn serve(settings: &Forward) -> io::Result<()> {
    let listener = StdListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let socket = settings.socket.clone();
                tokio::spawn(async move {
                    // The proxy has answered errors of its own. This one is an end like any other.
                    let _ = pass_on(stream, &socket).await;
                    drop(place);
                });
            }
            // Too many open files, for example.
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
    Ok(())
}

async fn pass_on(mut stream: TcpStream, socket: &Path) -> io::Result<()> {
    let mut proxy = UnixStream::connect(socket).await?;
    copy_bidirectional(&mut stream, &mut proxy).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_is_there_in_both_spellings() {
        assert_eq!(URL, format!("http://{}:{PORT}", Ipv4Addr::LOCALHOST));
        for (name, value) in VARIABLES {
            for other in [name.to_ascii_uppercase(), name.to_ascii_lowercase()] {
                assert!(VARIABLES.contains(&(other.as_str(), value)), "{other}");
            }
        }
    }
}
