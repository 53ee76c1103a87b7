//! The task's key and the host keys, as files for one call of ssh.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::place::GitPlace;
use crate::{
    sandbox::private_file,
    task::{Secret, StepError},
};

/// The host keys of GitHub, GitLab and Bitbucket, as these services publish them. A test compares their fingerprints.
const BUILT_IN: &str = include_str!("known_hosts");
/// The largest file of host keys that is read, in bytes.
const MAX_KNOWN_HOSTS: u64 = 4 << 20;

/// Options of ssh. No file of the user, no agent, no question, and only known hosts.
const OPTIONS: [&str; 17] = [
    "BatchMode=yes",
    "ClearAllForwardings=yes",
    "ConnectTimeout=30",
    "ControlPath=none",
    "ForwardAgent=no",
    "GlobalKnownHostsFile=/dev/null",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "KbdInteractiveAuthentication=no",
    "LogLevel=ERROR",
    "PasswordAuthentication=no",
    "PermitLocalCommand=no",
    "ProxyCommand=none",
    "ServerAliveCountMax=4",
    "ServerAliveInterval=15",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
];

/// The files. Dropping this removes them.
#[derive(Debug)]
pub(super) struct SshFiles {
    folder: PathBuf,
    has_key: bool,
}

impl SshFiles {
    /// Writes the files for a task.
    ///
    /// # Errors
    /// When the key is not a private key, or a file cannot be read or written.
    pub(super) fn write(place: &GitPlace<'_>, key: Option<&Secret>) -> Result<Self, StepError> {
        let folder = place.ssh();
        place.renew(&folder)?;
        let files = Self {
            has_key: key.is_some(),
            folder,
        };
        let written =
            |e: io::Error| StepError::transient(format!("cannot write the task's key: {e}"));
        if let Some(key) = key {
            let key = normalized(key.expose()).ok_or_else(|| {
                StepError::final_one(
                    "sshKey is not a private key in PEM or OpenSSH form. Send the whole file, with its first and last line",
                )
            })?;
            let mut file = private_file(&files.key()).map_err(written)?;
            file.write_all(key.as_bytes()).map_err(written)?;
        }
        let known = known_hosts(place.settings.known_hosts.as_deref())?;
        let mut file = private_file(&files.known_hosts()).map_err(written)?;
        file.write_all(known.as_bytes()).map_err(written)?;
        Ok(files)
    }

    /// The folder of the files.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn key(&self) -> PathBuf {
        self.folder.join("key")
    }

    fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// The command for `GIT_SSH_COMMAND`.
    pub(super) fn command(&self) -> String {
        let key = if self.has_key {
            quoted(&self.key())
        } else {
            "none".to_owned()
        };
        let mut command = format!("ssh -F /dev/null -o IdentityFile={key}");
        for option in OPTIONS {
            command.push_str(" -o ");
            command.push_str(option);
        }
        command.push_str(" -o UserKnownHostsFile=");
        command.push_str(&quoted(&self.known_hosts()));
        command
    }
}

impl Drop for SshFiles {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::error!(%error, "cannot remove a task's key; it is removed with the task's folder");
        }
    }
}

/// A path for the shell that git starts, and for ssh inside it: both take quotes away, and ssh expands `%`.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy().replace('%', "%%");
    let for_ssh = path.replace('\\', "\\\\").replace('"', "\\\"");
    format!("'\"{}\"'", for_ssh.replace('\'', r"'\''"))
}

/// A key as ssh reads it: lines that end with a line feed, also the last one. Callers send keys with the line ends of
/// Windows, without the last line end, or with `\n` as two characters.
fn normalized(key: &str) -> Option<Zeroizing<String>> {
    let mut key = Zeroizing::new(key.trim().to_owned());
    if !key.contains('\n') {
        key = Zeroizing::new(key.replace("\\r", "").replace("\\n", "\n"));
    }
    let mut lines = Zeroizing::new(String::with_capacity(key.len() + 1));
    for line in key.lines() {
        lines.push_str(line.trim());
        lines.push('\n');
    }
    let is_key = lines.starts_with("-----BEGIN ")
        && lines.lines().count() > 2
        && lines.trim_end().ends_with("PRIVATE KEY-----");
    is_key.then_some(lines)
}

/// The host keys that are known: the built-in ones, and those of the operator.
fn known_hosts(file: Option<&Path>) -> Result<String, StepError> {
    let mut known = BUILT_IN.to_owned();
    if let Some(file) = file {
        let problem = |e: io::Error| {
            let file = file.display();
            StepError::transient(format!(
                "cannot read the file of --git-known-hosts, {file}: {e}"
            ))
        };
        if fs::metadata(file).map_err(problem)?.len() > MAX_KNOWN_HOSTS {
            return Err(problem(io::Error::other("it is too large")));
        }
        known.push_str(&fs::read_to_string(file).map_err(problem)?);
        known.push('\n');
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use base64::{
        Engine as _,
        engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
    };
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn built_in_host_keys_have_the_published_fingerprints() {
        // docs.github.com "GitHub's SSH key fingerprints", docs.gitlab.com "GitLab.com settings", and
        // bitbucket.org/blog/ssh-host-key-changes.
        let published = [
            ("github.com", "+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"),
            ("github.com", "p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM"),
            ("github.com", "uNiVztksCsDhcc0u9e8BujQXVUpKZIDTMczCvj3tD2s"),
            ("gitlab.com", "eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8"),
            ("gitlab.com", "HbW3g8zUjNSksFbqTiUWPWg2Bq1x8xdGUrliXFzSnUw"),
            ("gitlab.com", "ROQFvPThGrW4RuWLoL9tq9I9zJ42fK4XywyRtbOz/EQ"),
            (
                "bitbucket.org",
                "ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM",
            ),
            (
                "bitbucket.org",
                "FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0",
            ),
        ];
        assert_eq!(BUILT_IN.lines().count(), published.len());
        for (line, (host, fingerprint)) in BUILT_IN.lines().zip(published) {
            let parts: Vec<_> = line.split(' ').collect();
            let digest = Sha256::digest(STANDARD.decode(parts[2]).unwrap());
            assert_eq!(parts[0], host);
            assert_eq!(STANDARD_NO_PAD.encode(digest), fingerprint, "{line}");
        }
    }

    #[test]
    fn keys_of_every_line_end_are_the_same_key() {
        let good =
            "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\ndef\n-----END OPENSSH PRIVATE KEY-----\n";
        for sent in [
            good.to_owned(),
            good.trim_end().to_owned(),
            good.replace('\n', "\r\n"),
            good.replace('\n', "\\n"),
            good.replace('\n', "\\r\\n"),
            format!("\n\n  {}\n\n", good.replace('\n', " \n ")),
        ] {
            assert_eq!(normalized(&sent).unwrap().as_str(), good, "{sent:?}");
        }
        for bad in ["", "abc", "-----BEGIN PRIVATE KEY-----", "ssh-ed25519 AAAA"] {
            assert!(normalized(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn paths_are_quoted_for_the_shell_and_for_ssh() {
        assert_eq!(quoted(Path::new("/a b/c")), "'\"/a b/c\"'");
        assert_eq!(quoted(Path::new("/a'%h")), "'\"/a'\\''%%h\"'");
    }
}
