//! An SSH server for git repositories.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::unistd::{Uid, User};

use crate::{Process, StackError, free_port};

const START_LIMIT: Duration = Duration::from_secs(30);
/// Where OpenSSH's server of Debian wants an empty folder, if it runs as root.
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

/// OpenSSH's server on the loopback interface, with a host key and one client key of its own. It gives that client a shell
/// as the user of this process.
#[derive(Debug)]
pub struct SshServer {
    process: Process,
    port: u16,
    folder: PathBuf,
}

impl SshServer {
    /// Makes the keys in `folder`, which exists, and starts the program `sshd`. It needs `ssh-keygen` on the `PATH`.
    ///
    /// # Errors
    /// A program cannot be executed, or the server does not come up.
    pub fn start(sshd: &Path, folder: &Path) -> Result<Self, StackError> {
        for name in ["host", "client"] {
            make_key(&folder.join(name))?;
        }
        let port = free_port()?;
        write_files(folder, port).map_err(StackError::system("cannot set up an SSH server"))?;
        // It starts itself again by its full path.
        let sshd = fs::canonicalize(sshd).map_err(StackError::system("sshd is not there"))?;
        let mut command = Command::new(sshd);
        command.args(["-D", "-e", "-f"]).arg(folder.join("config"));
        let mut process = Process::spawn("sshd", command)?;
        process.wait_for_line(START_LIMIT, |line| line.contains("listening").then_some(()))?;
        Ok(Self {
            process,
            port,
            folder: folder.to_owned(),
        })
    }

    /// Its port at 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file with the client's private key.
    #[must_use]
    pub fn client_key(&self) -> PathBuf {
        self.folder.join("client")
    }

    /// The file with the host key, in the format of `known_hosts`.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// The URL of the repository in the folder `repository`.
    ///
    /// # Errors
    /// The user of this process has no name.
    pub fn url(&self, repository: &Path) -> Result<String, StackError> {
        let user = user()?;
        Ok(format!(
            "ssh://{user}@127.0.0.1:{}{}",
            self.port,
            repository.display()
        ))
    }

    /// The server's process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Ends the server.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}

/// The name of the user of this process.
fn user() -> Result<String, StackError> {
    let found = User::from_uid(Uid::effective()).map_err(io::Error::from);
    let found = found.and_then(|user| user.ok_or_else(|| io::ErrorKind::NotFound.into()));
    found
        .map(|user| user.name)
        .map_err(StackError::system("the user has no name"))
}

fn make_key(file: &Path) -> Result<(), StackError> {
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(file);
    let made = command.output().and_then(|done| {
        let complaint = || io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned());
        done.status.success().then_some(()).ok_or_else(complaint)
    });
    made.map_err(StackError::system("ssh-keygen makes no key"))
}

fn write_files(folder: &Path, port: u16) -> io::Result<()> {
    let at = |name: &str| folder.join(name);
    fs::copy(at("client.pub"), at("authorized_keys"))?;
    let host_key = fs::read_to_string(at("host.pub"))?;
    fs::write(at("known_hosts"), format!("[127.0.0.1]:{port} {host_key}"))?;
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey \"{}\"\nAuthorizedKeysFile \"{}\"\nPidFile none\nUsePAM no\nStrictModes no\n\
         PasswordAuthentication no\nPermitRootLogin prohibit-password\nLogLevel INFO\n",
        at("host").display(),
        at("authorized_keys").display()
    );
    fs::write(at("config"), config)?;
    if Uid::effective().is_root() {
        fs::create_dir_all(PRIVILEGE_SEPARATION)?;
    }
    Ok(())
}
