use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use dev_servers::{Process, free_port};
use nix::unistd::{Uid, User};

use crate::tool;

const START_LIMIT: Duration = Duration::from_mins(1);

/// A real sshd on this machine that serves repositories to the user of the test. Its files are in one folder: the host's key
/// `host`, the user's key `user`, and `known_hosts`.
#[derive(Debug)]
pub struct Sshd {
    process: Process,
    folder: PathBuf,
    port: u16,
}

impl Sshd {
    /// Makes the keys in `folder`, and starts the server.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(folder: &Path) -> Self {
        let at = |name: &str| folder.join(name);
        for name in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at(name))
                .status();
            assert!(made.expect("ssh-keygen").success());
        }
        let port = free_port().expect("a free port");
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nPermitRootLogin prohibit-password\nLogLevel INFO\n",
            at("host").display(),
            at("user.pub").display()
        );
        write(&at("sshd_config"), &config);
        if Uid::effective().is_root() {
            fs::create_dir_all("/run/sshd").expect("the folder of sshd");
        }
        let program = fs::canonicalize(tool("TKC_SSHD")).expect("sshd");
        let mut command = Command::new(program);
        command.args(["-D", "-e", "-f"]).arg(at("sshd_config"));
        let mut process = Process::spawn("sshd", command).expect("sshd");
        let listens = |line: &str| line.contains("listening").then_some(());
        process.wait_for_line(START_LIMIT, listens).expect("sshd");
        let host_key = fs::read_to_string(at("host.pub")).expect("the host's key");
        write(
            &at("known_hosts"),
            &format!("[127.0.0.1]:{port} {host_key}"),
        );
        Self {
            process,
            folder: folder.to_owned(),
            port,
        }
    }

    /// The user's private key.
    ///
    /// # Panics
    /// It cannot be read.
    #[must_use]
    pub fn key(&self) -> String {
        fs::read_to_string(self.folder.join("user")).expect("the user's key")
    }

    /// The file with the host's public key.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// The address of a repository on this machine, `ssh://USER@127.0.0.1:PORT/PATH`.
    #[must_use]
    pub fn address(&self, repository: &Path) -> String {
        self.address_at("127.0.0.1", repository)
    }

    /// As [`address`](Self::address), with another name of the host.
    ///
    /// # Panics
    /// The user of the test has no name.
    #[must_use]
    pub fn address_at(&self, host: &str, repository: &Path) -> String {
        let user = User::from_uid(Uid::effective()).ok().flatten();
        let name = user.expect("the user's name").name;
        format!("ssh://{name}@{host}:{}{}", self.port, repository.display())
    }

    /// Ends the server.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file of sshd");
}
