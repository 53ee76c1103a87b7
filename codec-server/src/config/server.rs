//! `[server]`: listeners, limits, timeouts.

use std::{net::SocketAddr, time::Duration};

use temporal_kms_codec_service::{
    listener::{self, ListenAddress, unix},
    namespaces::NamespaceLimits,
    settings::{Fault, Section, values},
};

use crate::namespaces::Folder;

/// Where the server listens, and its limits.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// `listen`: where clients call: an address and port, or `unix:` and the path of a socket. Without authentication it
    /// must be a loopback address or a socket. Default: `127.0.0.1:8081`.
    pub listen: ListenAddress,
    /// `admin_listen`: where `/healthz`, `/readyz` and `/metrics` are answered. Any address: none shows a payload or a secret,
    /// and `/metrics` names keys and namespaces. Default: it does not listen for them.
    pub admin_listen: Option<ListenAddress>,
    /// `insecure_without_authentication`: whether other machines may call without authentication. Default: no.
    pub insecure_without_authentication: bool,
    /// `allowed_hosts`: names beside the local ones that a request may be addressed to, such as that of a proxy.
    pub allowed_hosts: Vec<String>,
    /// `page`: whether `GET /` answers a page on which people read histories. Default: yes.
    pub page: bool,
    /// `path_prefixes`: paths before `/encode` and `/decode` that do not name a namespace, such as `/codec`.
    pub(crate) path_prefixes: Vec<Folder>,
    /// The limits of requests.
    pub limits: Limits,
    /// The timeouts.
    pub timeouts: Timeouts,
}

/// Limits for one request and for all of them together.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `max_body`: bytes of one request. Default: 8 MiB, as Temporal's own calls are at most 4 MiB before base64.
    pub max_body: usize,
    /// `max_answer`: bytes of the payloads in one answer, where decompression makes them larger. What they become on the way may
    /// be twice as much. Default: 64 MiB.
    pub max_answer: usize,
    /// `max_payloads`: payloads of one request. Default: 1,000.
    pub max_payloads: usize,
    /// `max_headers`: bytes of a request's head, with its first line. A head has at most 100 fields. Default: 32 KiB, for tokens
    /// and cookies.
    pub max_headers: usize,
    /// `max_requests`: requests that are worked on at the same time; others wait for a second. Default: 128.
    pub max_requests: usize,
    /// `max_memory`: bytes that the bodies, payloads and answers of all requests take together. The first 64 KiB of each
    /// request are not counted. Default: 512 MiB.
    pub max_memory: usize,
    /// `max_connections`: connections that are open at the same time. Default: 1,024.
    pub max_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: 8 << 20,
            max_answer: 64 << 20,
            max_payloads: 1000,
            max_headers: 32 << 10,
            max_requests: 128,
            max_memory: 512 << 20,
            max_connections: 1024,
        }
    }
}

impl ServerConfig {
    /// The files that are open when both listeners have all their connections: also those of key services, issuers, logs
    /// and certificates.
    pub(crate) fn open_files(&self) -> u64 {
        const MORE: u64 = 256;
        let listeners = 1 + u64::from(self.admin_listen.is_some());
        let connections = u64::try_from(self.limits.max_connections).unwrap_or(u64::MAX);
        connections.saturating_mul(listeners).saturating_add(MORE)
    }
}

impl Limits {
    /// These limits with those of one namespace, which only lower them.
    pub(crate) fn within(&self, own: &NamespaceLimits) -> Self {
        let lower = |limit: usize, own: Option<usize>| own.map_or(limit, |own| own.min(limit));
        Self {
            max_body: lower(self.max_body, own.max_body),
            max_payloads: lower(self.max_payloads, own.max_payloads),
            ..self.clone()
        }
    }

    /// Requests that are open at the same time, with those that wait for their bodies. Connections of HTTP/1.1 have one
    /// each. Those of HTTP/2 share what is left over.
    pub(crate) fn max_open(&self) -> usize {
        const MORE: usize = 1024;
        let open = self.max_connections.saturating_add(MORE);
        open.min(tokio::sync::Semaphore::MAX_PERMITS)
    }

    /// The bytes of the largest request that the limits allow. While it is read, those are its body, its payloads, and four times
    /// the body where strings have escapes. Later they are its body, its payloads, the payloads of the answer, and the answer's
    /// text, which is base64.
    fn largest_request(&self) -> usize {
        let reading = self.max_body.saturating_mul(6);
        let text = self.max_answer.saturating_add(self.max_answer / 2);
        let answering = self
            .max_body
            .saturating_mul(2)
            .saturating_add(self.max_answer)
            .saturating_add(text);
        reading.max(answering)
    }
}

/// How long the server waits.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// `header_timeout`: for a request's head; an idle connection is closed after the same time. Default: 30 s.
    pub header: Duration,
    /// `body_timeout`: for a request's body. Waiting for memory does not count. Default: 10 s.
    pub body: Duration,
    /// `request_timeout`: for encoding or decoding one request. Default: 20 s.
    pub request: Duration,
    /// `write_timeout`: for a client that does not read its answer. Default: 30 s.
    pub write: Duration,
    /// `answer_timeout`: for a client to read the whole answer. Default: 60 s.
    pub answer: Duration,
    /// `shutdown_delay`: how long the server goes on serving after it was told to stop, while `/readyz` answers 503.
    /// Load balancers need that time to notice. Default: 2 s with an `admin_listen`, else 0 s.
    pub shutdown_delay: Duration,
    /// `shutdown_grace`: for requests in flight when the server is told to stop. Default: 20 s, within the 30 s that
    /// Kubernetes leaves a process.
    pub shutdown_grace: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(30),
            body: Duration::from_secs(10),
            request: Duration::from_secs(20),
            write: Duration::from_secs(30),
            answer: Duration::from_mins(1),
            shutdown_delay: Duration::ZERO,
            shutdown_grace: Duration::from_secs(20),
        }
    }
}

/// The address of `codec-server` by default.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:8081";

impl ServerConfig {
    /// A server on `listen`, with defaults for everything else.
    #[must_use]
    pub fn on(listen: impl Into<ListenAddress>) -> Self {
        Self {
            listen: listen.into(),
            admin_listen: None,
            insecure_without_authentication: false,
            allowed_hosts: Vec::new(),
            page: true,
            path_prefixes: Vec::new(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }

    pub(super) fn read(mut section: Section<'_>) -> Self {
        let mut server = Self::on(SocketAddr::from(([127, 0, 0, 1], 8081)));
        section.set("listen", &mut server.listen, listener::parse);
        server.admin_listen = section.value("admin_listen", listener::parse);
        server.read_socket_file(&mut section);
        let insecure = &mut server.insecure_without_authentication;
        section.set("insecure_without_authentication", insecure, values::flag);
        server.allowed_hosts = section.list("allowed_hosts", host).unwrap_or_default();
        section.set("page", &mut server.page, values::flag);
        server.path_prefixes = section
            .list("path_prefixes", path_prefix)
            .unwrap_or_default();

        let limits = &mut server.limits;
        section.set("max_body", &mut limits.max_body, values::bytes);
        section.set("max_answer", &mut limits.max_answer, values::bytes);
        section.set("max_payloads", &mut limits.max_payloads, values::count);
        section.set("max_headers", &mut limits.max_headers, header_bytes);
        section.set("max_requests", &mut limits.max_requests, values::permits);
        let connections = &mut limits.max_connections;
        section.set("max_connections", connections, values::permits);
        section.set("max_memory", &mut limits.max_memory, values::bytes);
        let least = limits.largest_request();
        if limits.max_memory < least {
            section.report(format!(
                "`max_memory` must be at least {least} bytes, so that one request with `max_body` and `max_answer` fits"
            ));
        }

        let timeouts = &mut server.timeouts;
        if server.admin_listen.is_some() {
            timeouts.shutdown_delay = SHUTDOWN_DELAY;
        }
        for (key, time) in [
            ("header_timeout", &mut timeouts.header),
            ("body_timeout", &mut timeouts.body),
            ("request_timeout", &mut timeouts.request),
            ("write_timeout", &mut timeouts.write),
            ("answer_timeout", &mut timeouts.answer),
        ] {
            section.set(key, time, values::timeout);
        }
        for (key, time) in [
            ("shutdown_delay", &mut timeouts.shutdown_delay),
            ("shutdown_grace", &mut timeouts.shutdown_grace),
        ] {
            section.set(key, time, values::duration);
        }
        section.finish();
        server
    }

    /// The mode and owner of each Unix socket's file.
    fn read_socket_file(&mut self, section: &mut Section<'_>) {
        let mode = section.text("socket_mode", unix::mode);
        let owner = section.text("socket_owner", unix::user);
        let group = section.text("socket_group", unix::group);
        for address in std::iter::once(&mut self.listen).chain(&mut self.admin_listen) {
            if let ListenAddress::Unix(socket) = address {
                socket.mode = mode.unwrap_or(socket.mode);
                socket.owner = owner.or(socket.owner);
                socket.group = group.or(socket.group);
            }
        }
    }

    /// The mistake of an address that other machines reach, where the server authenticates nobody.
    pub(super) fn unauthenticated(&self, is_authenticated: bool) -> Option<Fault> {
        let is_open = self.listen.is_remote() && !self.insecure_without_authentication;
        (is_open && !is_authenticated)
            .then(|| Fault::new("server.listen", reachable(&self.listen)).following_from("auth"))
    }
}

/// How long load balancers usually take to notice that a server is not ready.
const SHUTDOWN_DELAY: Duration = Duration::from_secs(2);

/// An address that only programs of this machine reach, for `dev`, which has no configuration.
pub(crate) fn loopback(text: &str) -> Result<ListenAddress, String> {
    let address = listener::parse(text)?;
    if address.is_remote() {
        let port = address.tcp().map_or(0, |tcp| tcp.port());
        return Err(format!(
            "{address} is reachable from other machines, and every caller could decrypt, because `dev` does not \
             authenticate clients. Choose a loopback address, such as 127.0.0.1:{port}, or use `codec-server serve \
             --config FILE` with a section [auth]"
        ));
    }
    Ok(address)
}

fn reachable(address: &ListenAddress) -> String {
    let port = address.tcp().map_or(0, |tcp| tcp.port());
    format!(
        "{address} is reachable from other machines, and every caller could decrypt, because the server does not \
         authenticate clients. Configure a section [auth], or listen on loopback only, such as 127.0.0.1:{port}, behind an \
         authenticating proxy. To serve everybody all the same, set `insecure_without_authentication = true`"
    )
}

fn path_prefix(text: &str) -> Result<Folder, String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let is_path = path.len() > 1
        && path.starts_with('/')
        && !path.contains("//")
        && format!("{path}/decode")
            .parse::<http::Uri>()
            .is_ok_and(|uri| uri.query().is_none());
    let folder = is_path.then(|| Folder::parse(path)).flatten();
    folder.ok_or_else(|| {
        "expected a path such as \"/codec\", as in the URL, of at most 16 segments".to_owned()
    })
}

fn host(text: &str) -> Result<String, String> {
    let authority: Option<http::uri::Authority> = text.parse().ok();
    match authority {
        Some(authority) if authority.host() == text => Ok(text.to_ascii_lowercase()),
        _ => Err("expected a host name without scheme and port".to_owned()),
    }
}

fn header_bytes(text: &str) -> Result<usize, String> {
    /// Less would refuse usual tokens and cookies.
    const LEAST: usize = 8 << 10;
    match values::bytes(text)? {
        bytes if bytes < LEAST => Err("it must be at least 8KiB".to_owned()),
        bytes => Ok(bytes),
    }
}
