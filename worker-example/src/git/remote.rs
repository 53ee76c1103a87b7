//! The server of a repository: the files of its key, and the address that git connects to. The address is checked, so that
//! a request does not reach servers inside the worker's network.

use std::net::IpAddr;

use super::{place::GitPlace, ssh::SshFiles};
use crate::{
    task::{GitTransport, GitUrl, Secret, StepError},
    webhook::{HostError, permitted_addresses},
};

/// How git reaches the server. Dropping this removes the files.
#[derive(Debug)]
pub(super) struct Remote {
    ssh: SshFiles,
    pin: Pin,
}

/// What makes git connect to the address that was checked. A name that resolves differently a moment later changes nothing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pin {
    /// For git's setting `http.curloptResolve`.
    https: Option<String>,
    /// Options of ssh.
    ssh: String,
}

impl Remote {
    /// The server of this address.
    ///
    /// # Errors
    /// When the address is not permitted, or the files of the key cannot be written.
    pub(super) async fn open(
        place: &GitPlace<'_>,
        address: &str,
        key: Option<&Secret>,
    ) -> Result<Self, StepError> {
        let url = GitUrl::parse(address, place.settings.files_allowed)
            .map_err(|problem| StepError::final_one(format!("gitRepo {problem}")))?;
        let addresses = checked(place, &url).await?;
        Ok(Self {
            ssh: SshFiles::write(place, key)?,
            pin: Pin::of(&url, &addresses),
        })
    }

    /// The files of the key.
    pub(super) fn ssh(&self) -> &SshFiles {
        &self.ssh
    }

    /// The command for `GIT_SSH_COMMAND`.
    pub(super) fn ssh_command(&self) -> String {
        self.ssh.command() + &self.pin.ssh
    }

    /// A setting of git for https.
    pub(super) fn setting(&self) -> Option<String> {
        let resolved = self.pin.https.as_ref()?;
        Some(format!("http.curloptResolve={resolved}"))
    }
}

/// The permitted addresses of the server. Empty where git looks the name up: it may have any address, or is an address.
async fn checked(place: &GitPlace<'_>, url: &GitUrl) -> Result<Vec<IpAddr>, StepError> {
    if url.transport() == GitTransport::File {
        return Ok(Vec::new());
    }
    let host = url.host().trim_matches(['[', ']']);
    if host.ends_with('.') {
        // It is another name for curl, and the same one for DNS.
        return Err(StepError::final_one(
            "gitRepo: the name of the server must not end with a dot",
        ));
    }
    let addresses = permitted_addresses(&place.settings.addresses, host).await;
    match addresses {
        Ok(_) if host.parse::<IpAddr>().is_ok() => Ok(Vec::new()),
        Ok(addresses) => Ok(addresses.unwrap_or_default()),
        Err(HostError::Refused) => Err(StepError::final_one(format!(
            "gitRepo: the address of {host} is not public. The operator can permit it with --git-allow or CLAUDE_TASKS_GIT_ALLOW"
        ))),
        Err(HostError::Lookup(_)) => Err(StepError::transient(
            "gitRepo: the server's name cannot be resolved",
        )),
    }
}

impl Pin {
    fn of(url: &GitUrl, addresses: &[IpAddr]) -> Self {
        let (host, port) = (url.host(), url.port());
        match (url.transport(), addresses) {
            (GitTransport::Https, [_, ..]) => {
                let addresses: Vec<String> = addresses
                    .iter()
                    .map(|address| match address {
                        IpAddr::V4(address) => address.to_string(),
                        IpAddr::V6(address) => format!("[{address}]"),
                    })
                    .collect();
                Self {
                    https: Some(format!("{host}:{port}:{}", addresses.join(","))),
                    ssh: String::new(),
                }
            }
            (GitTransport::Ssh, [first, ..]) => {
                // The host key stays that of the name, in the form of `known_hosts`.
                let name = if port == 22 {
                    host.to_owned()
                } else {
                    format!("[{host}]:{port}")
                };
                Self {
                    https: None,
                    ssh: format!(" -o HostName='{first}' -o HostKeyAlias='{name}'"),
                }
            }
            _ => Self::default(),
        }
    }
}

#[cfg(test)]
impl Remote {
    /// A server at this address, without a check.
    pub(super) fn pinned(ssh: SshFiles, url: &GitUrl, address: IpAddr) -> Self {
        Self {
            ssh,
            pin: Pin::of(url, &[address]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_connects_to_the_checked_addresses() {
        let addresses = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let of = |url: &str| Pin::of(&GitUrl::parse(url, false).unwrap(), &addresses);
        assert_eq!(
            of("https://git.example/a").https.unwrap(),
            "git.example:443:192.0.2.1,[2001:db8::1]"
        );
        assert_eq!(
            of("https://git.example:8443/a").https.unwrap(),
            "git.example:8443:192.0.2.1,[2001:db8::1]"
        );
        let plain = " -o HostName='192.0.2.1' -o HostKeyAlias='git.example'";
        assert_eq!(of("git@git.example:a").ssh, plain);
        assert_eq!(of("ssh://git@git.example/a").ssh, plain);
        assert_eq!(
            of("ssh://git@git.example:2222/a").ssh,
            " -o HostName='192.0.2.1' -o HostKeyAlias='[git.example]:2222'"
        );
        let url = GitUrl::parse("https://git.example/a", false).unwrap();
        assert_eq!(Pin::of(&url, &[]), Pin::default());
    }
}
