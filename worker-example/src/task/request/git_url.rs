//! The address of a repository. git understands many more, and some of them run programs: `ext::sh -c …`, and names that
//! begin with `-` and become options.

use percent_encoding::percent_decode_str;
use url::Url;

use super::limits::MAX_URL;

/// How git reaches a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GitTransport {
    /// `ssh://…`, or `USER@HOST:PATH`.
    Ssh,
    /// `https://…`.
    Https,
    /// `file://…`, for tests only.
    File,
}

/// The checked address of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GitUrl {
    text: String,
    transport: GitTransport,
    host: String,
    path: String,
    port: Option<u16>,
}

#[allow(dead_code, reason = "the steps that clone use them")]
impl GitUrl {
    /// Checks an address. The error says what it must be, and follows the name of the field.
    ///
    /// # Errors
    /// When git would not reach it by ssh or https, or could take a part of it for an option.
    pub(crate) fn parse(text: &str, files_allowed: bool) -> Result<Self, &'static str> {
        const FORM: &str =
            "must be https://HOST/PATH, ssh://USER@HOST/PATH or USER@HOST:PATH, without spaces";
        let plain = |c: char| c.is_ascii_graphic() && !"\\`$'\"<>|;&(){}*?!".contains(c);
        // The text itself is checked, because git gets it as it is. The parsed path has no `..` any more.
        let is_plain = text.chars().all(plain) && text.split('/').all(is_part);
        if text.is_empty() || text.len() > MAX_URL || !is_plain {
            return Err(FORM);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::scp(text).ok_or(FORM);
        };
        let url: Url = text.parse().map_err(|_| FORM)?;
        // The parser also finds a host in `https::@HOST://…` and `https:///HOST/…`. git would run `git-remote-https` for the first
        // one, and may take another host from both.
        if scheme != url.scheme() || (rest.starts_with('/') && scheme != "file") {
            return Err(FORM);
        }
        let transport = match url.scheme() {
            "ssh" => GitTransport::Ssh,
            "https" => GitTransport::Https,
            "file" if files_allowed => GitTransport::File,
            _ => return Err(FORM),
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        if url.query().is_some() || url.fragment().is_some() || !is_path(url.path()) {
            return Err(FORM);
        }
        let has_user = !url.username().is_empty();
        match transport {
            GitTransport::Https if has_user || url.password().is_some() => {
                return Err(
                    "must not have a user name, a token or a password; the task could read it. Use sshKey",
                );
            }
            GitTransport::Ssh if url.password().is_some() => {
                return Err("must not have a password; use sshKey");
            }
            GitTransport::Ssh if has_user && !is_name(url.username()) => return Err(FORM),
            GitTransport::Ssh | GitTransport::Https if !is_host(&host) => return Err(FORM),
            GitTransport::File if !host.is_empty() => return Err(FORM),
            _ => {}
        }
        Ok(Self {
            path: url.path().trim_start_matches('/').to_owned(),
            port: url.port(),
            text: text.to_owned(),
            transport,
            host,
        })
    }

    /// `USER@HOST:PATH`, which is always ssh.
    fn scp(text: &str) -> Option<Self> {
        let (login, path) = text.split_once(':')?;
        let (user, host) = login.split_once('@')?;
        let is_good =
            is_name(user) && is_host(host) && !path.starts_with([':', '-']) && is_path(path);
        is_good.then(|| Self {
            text: text.to_owned(),
            transport: GitTransport::Ssh,
            host: host.to_owned(),
            path: path.trim_start_matches('/').to_owned(),
            port: None,
        })
    }

    /// The address as the caller wrote it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// How git reaches it.
    pub(crate) fn transport(&self) -> GitTransport {
        self.transport
    }

    /// The host; empty for a file.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port of the server.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.transport {
            GitTransport::Https => 443,
            GitTransport::Ssh | GitTransport::File => 22,
        })
    }

    /// The same repository over ssh, for a task with a key. `None` if that is not known: the address has a port of its own,
    /// or is a file.
    pub(crate) fn over_ssh(&self) -> Option<String> {
        match self.transport {
            GitTransport::Ssh => Some(self.text.clone()),
            GitTransport::Https if self.port.is_none() => {
                Some(format!("ssh://git@{}/{}", self.host, self.path))
            }
            GitTransport::Https | GitTransport::File => None,
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn is_host(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let is_address = address.is_some_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok());
    is_address || is_name(host)
}

fn is_path(path: &str) -> bool {
    !path.trim_matches('/').is_empty() && path.split('/').all(is_part)
}

/// Whether a part of a path stays a part of it, and no option. Git and servers decode it.
fn is_part(part: &str) -> bool {
    let decoded: Vec<u8> = percent_decode_str(part).collect();
    let is_plain = |byte: &u8| !byte.is_ascii_control() && !matches!(byte, b'/' | b'\\');
    decoded != b".." && !decoded.starts_with(b"-") && decoded.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_ssh_and_https() {
        for (text, host, over_ssh) in [
            (
                "https://github.com/a/b.git",
                "github.com",
                Some("ssh://git@github.com/a/b.git"),
            ),
            (
                "git@github.com:a/b.git",
                "github.com",
                Some("git@github.com:a/b.git"),
            ),
            (
                "ssh://git@h.example:2222/~u/b",
                "h.example",
                Some("ssh://git@h.example:2222/~u/b"),
            ),
            ("https://h.example:8443/a", "h.example", None),
            (
                "https://h.example/a%20b/c%2ed.git",
                "h.example",
                Some("ssh://git@h.example/a%20b/c%2ed.git"),
            ),
        ] {
            let url = GitUrl::parse(text, false).unwrap();
            assert_eq!(
                (url.as_str(), url.host(), url.over_ssh().as_deref()),
                (text, host, over_ssh)
            );
            let is_https = url.transport() == GitTransport::Https;
            assert_eq!(is_https, text.starts_with("https"));
        }
        assert!(GitUrl::parse("file:///srv/a.git", false).is_err());
        let file = GitUrl::parse("file:///srv/a.git", true).unwrap();
        assert_eq!(
            (file.transport(), file.over_ssh()),
            (GitTransport::File, None)
        );
    }

    #[test]
    fn refuses_what_git_would_run_or_take_for_an_option() {
        for text in [
            "",
            "ext::sh -c id",
            "ext::sh",
            "--upload-pack=id",
            "-oProxyCommand=id@h:a/b",
            "git@-oProxyCommand=id:a/b",
            "git@h:-a",
            "git@h::a",
            "ssh://-oProxyCommand=id/a",
            "ssh://git@-h/a",
            "ssh://git:pw@h/a",
            "https::@h://h/a",
            "https::@h://g@h.example:a/b",
            "https:@h/://a",
            "https:///h/a",
            "ssh:///h/a",
            "HTTPS://h/a",
            "https://token@h/a",
            "https://u:p@h/a",
            "http://h/a",
            "git://h/a",
            "ftp://h/a",
            "https://h/",
            "https://h/a?x=1",
            "https://h/a#x",
            "https://h/a b",
            "https://h/a\n",
            "/srv/a.git",
            "../a",
            "a.git",
            "git@h:a/../../b",
            "https://h/-a/../b",
            "ssh://git@h/a/../../b",
            "ssh://git@h/%2e%2e/-b",
            "ssh://git@h/%2e%2e/b",
            "ssh://git@h/a/.%2E/b",
            "ssh://git@h/a%2f..%2Fb",
            "ssh://git@h/a%5cb",
            "ssh://git@h/%2dupload-pack/b",
            "ssh://git@h/a%00b",
            "ssh://git@h/a%0ab",
            "git@h:%2e%2e/b",
            "https://h/a/%2E%2E/b",
            "https://h/a/%2e./b",
            "https://h/%2Da/b",
            "https://h/$(id)",
        ] {
            assert!(GitUrl::parse(text, false).is_err(), "{text}");
        }
    }
}
