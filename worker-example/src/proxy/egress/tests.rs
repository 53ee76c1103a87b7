//! The egress proxy with real sockets, and names that resolve as the test says.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    time::timeout,
};

use super::{ClosedPlace, EgressPolicy, EgressProxy, EgressSettings, relay::RelayLimits};
use crate::webhook::{AddressPolicy, Lookup, SystemLookup};

const LIMIT: Duration = Duration::from_secs(30);

/// Names with their addresses, one after the other. A name without addresses cannot be looked up now. Other names are looked up
/// as the system does.
struct Names(Mutex<Vec<(&'static str, VecDeque<&'static str>)>>);

impl Names {
    fn of<const N: usize>(names: [(&'static str, &[&'static str]); N]) -> Arc<Self> {
        let names = names.map(|(name, addresses)| (name, addresses.iter().copied().collect()));
        Arc::new(Self(Mutex::new(Vec::from(names))))
    }

    /// The next addresses of a name. The last ones stay.
    fn next(&self, host: &str) -> Option<io::Result<Vec<IpAddr>>> {
        let mut names = self.0.lock();
        let (_, addresses) = names.iter_mut().find(|(name, _)| *name == host)?;
        let Some(now) = addresses.front().copied() else {
            return Some(Err(io::Error::other("no answer")));
        };
        if addresses.len() > 1 {
            addresses.pop_front();
        }
        let now = now.split(' ').map(|address| address.parse().unwrap());
        Some(Ok(now.collect()))
    }
}

impl Lookup for Names {
    fn lookup(
        &self,
        host: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>> {
        match self.next(&host) {
            Some(addresses) => Box::pin(async move { addresses }),
            None => SystemLookup.lookup(host),
        }
    }
}

struct Rig {
    proxy: EgressProxy,
    folder: TempDir,
}

impl Rig {
    fn new(settings: EgressSettings, names: Arc<Names>) -> Self {
        Self::with(settings, names, RelayLimits::default())
    }

    fn with(settings: EgressSettings, names: Arc<Names>, limits: RelayLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policy = Arc::new(EgressPolicy::with_lookup(settings, names));
        let task = "t-1".parse().unwrap();
        let proxy = EgressProxy::with_limits(&policy, &task, folder.path(), None, limits).unwrap();
        Self { proxy, folder }
    }

    async fn send(&self, request: &str) -> String {
        send(&self.proxy.socket(), request).await
    }

    /// The status of the answer to `CONNECT`.
    async fn connect(&self, server: &str) -> u16 {
        status(&self.send(&connect(server)).await)
    }

    /// The status of the answer to a GET with this URL.
    async fn get(&self, url: &str) -> u16 {
        status(&self.send(&get(url)).await)
    }
}

fn connect(server: &str) -> String {
    format!("CONNECT {server} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n\r\n")
}

fn get(url: &str) -> String {
    format!("GET {url} HTTP/1.1\r\nhost: other.example\r\nconnection: close\r\n\r\n")
}

fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1);
    status
        .unwrap_or_else(|| panic!("{answer:?}"))
        .parse()
        .unwrap()
}

/// Sends a request, and reads until the end of the connection.
async fn send(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(LIMIT, stream.read_to_end(&mut answer)).await;
    read.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

fn allowing(allowed: &[&str], ports: &[u16]) -> EgressSettings {
    EgressSettings {
        addresses: AddressPolicy::new(allowed.iter().map(|a| a.parse().unwrap()).collect()),
        ports: ports.to_vec(),
        closed: Vec::new(),
    }
}

fn closed(url: &str) -> Vec<ClosedPlace> {
    vec![ClosedPlace::of_url(&url.parse().unwrap()).unwrap()]
}

/// A server that keeps the requests, and answers each with `hello`, in a connection of its own.
struct WebServer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl WebServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Self::answer(stream, Arc::clone(&kept)));
            }
        });
        Self { address, seen }
    }

    async fn answer(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>) {
        let mut request = Vec::new();
        while !request.windows(4).any(|part| part == b"\r\n\r\n") {
            if stream.read_buf(&mut request).await.unwrap_or_default() == 0 {
                return;
            }
        }
        seen.lock().push(String::from_utf8(request).unwrap());
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nset-cookie: c=1\r\nconnection: close, x-hop\r\nx-hop: 1\r\n\r\nhello";
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

#[tokio::test]
async fn requests_reach_a_server_that_is_permitted_in_both_forms() {
    let server = WebServer::start().await;
    let port = server.address.port();
    let names = Names::of([("web.example", &["127.0.0.1"])]);
    let rig = Rig::new(allowing(&["127.0.0.1"], &[port]), names);
    let url = format!("http://user:password@web.example:{port}/path?q=1");
    let answer = rig.send(&get(&url)).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(
        answer.ends_with("hello") && answer.contains("set-cookie"),
        "{answer}"
    );
    assert!(!answer.contains("x-hop"), "{answer}");
    let seen = server.seen.lock().remove(0);
    assert!(seen.starts_with("GET /path?q=1 HTTP/1.1\r\n"), "{seen}");
    // The name of the connection counts, and not that of the header.
    assert!(
        seen.contains(&format!("host: web.example:{port}\r\n")),
        "{seen}"
    );
    assert!(
        !seen.contains("other.example") && !seen.contains("connection: close"),
        "{seen}"
    );

    let mut stream = UnixStream::connect(rig.proxy.socket()).await.unwrap();
    let head = connect(&format!("web.example:{port}"));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|part| part == b"\r\n\r\n") {
        timeout(LIMIT, stream.read_buf(&mut answer))
            .await
            .unwrap()
            .unwrap();
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    stream
        .write_all(b"GET /inside HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    timeout(LIMIT, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    // What is in a tunnel is not changed.
    assert_eq!(server.seen.lock().remove(0), "GET /inside HTTP/1.1\r\n\r\n");
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_in_every_spelling() {
    let server = WebServer::start().await;
    let names = Names::of([
        ("inside.example", &["10.1.2.3"]),
        ("half.example", &["1.1.1.1 192.168.0.1"]),
        ("mapped.example", &["::ffff:10.0.0.1"]),
        ("localhost.", &["127.0.0.1"]),
    ]);
    let rig = Rig::new(allowing(&[], &[server.address.port()]), names);
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "0",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "168.63.129.16",
        "100.100.100.200",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "224.0.0.1",
        "255.255.255.255",
        "inside.example",
        "half.example",
        "mapped.example",
    ] {
        let answer = rig.send(&connect(&format!("{host}:{port}"))).await;
        assert_eq!(status(&answer), 403, "{host}: {answer}");
        assert!(answer.contains("--task-network-allow"), "{host}: {answer}");
        assert!(!answer.contains("10.1.2.3"), "{answer}");
        assert_eq!(
            rig.get(&format!("http://{host}:{port}/")).await,
            403,
            "{host}"
        );
    }
    assert_eq!(*server.seen.lock(), Vec::<String>::new());
}

/// The first answer of the name is public, and cannot be reached here. The next ones are the server.
#[tokio::test]
async fn a_name_that_resolves_differently_later_reaches_nothing_private() {
    let server = WebServer::start().await;
    let port = server.address.port();
    let names = Names::of([("moving.example", &["192.88.98.1", "127.0.0.1"])]);
    let limits = RelayLimits {
        connect_time: Duration::from_secs(4),
        ..RelayLimits::default()
    };
    let rig = Rig::with(allowing(&[], &[port]), names, limits);
    let first = rig.connect(&format!("moving.example:{port}")).await;
    assert!(matches!(first, 502 | 504), "{first}");
    for _ in 0..3 {
        assert_eq!(rig.connect(&format!("moving.example:{port}")).await, 403);
    }
    assert_eq!(*server.seen.lock(), Vec::<String>::new());
}

#[tokio::test]
async fn only_permitted_ports_are_reached() {
    let server = WebServer::start().await;
    let (address, port) = (server.address, server.address.port());
    let rig = Rig::new(allowing(&["127.0.0.1"], &[22]), Names::of([]));
    let answer = rig.send(&connect(&address.to_string())).await;
    assert_eq!(status(&answer), 403, "{answer}");
    assert!(
        answer.contains("the ports 22, 80, 443") && answer.contains("--task-network-port"),
        "{answer}"
    );
    assert_eq!(rig.get(&format!("http://127.0.0.1:{port}/")).await, 403);
    assert_eq!(*server.seen.lock(), Vec::<String>::new());
}

#[tokio::test]
async fn known_services_stay_closed_where_their_addresses_are_permitted() {
    let (temporal, other) = (WebServer::start().await, WebServer::start().await);
    let (port, other_port) = (temporal.address.port(), other.address.port());
    let names = || {
        Names::of([
            ("temporal.example", &["127.0.0.1"]),
            ("alias.example", &["127.0.0.1"]),
            ("mapped.example", &["::ffff:127.0.0.1"]),
            ("localhost.", &["127.0.0.1"]),
        ])
    };
    for url in [
        "http://127.0.0.1",
        "https://temporal.example",
        "http://0.0.0.0",
    ] {
        let settings = EgressSettings {
            closed: closed(&format!("{url}:{port}")),
            ..allowing(
                &["127.0.0.0/8", "0.0.0.0", "alias.example"],
                &[port, other_port],
            )
        };
        let rig = Rig::new(settings, names());
        for host in [
            "127.0.0.1",
            "127.0.0.2",
            "0.0.0.0",
            "[::ffff:127.0.0.1]",
            "localhost.",
            "temporal.example",
            "TEMPORAL.example.",
            "alias.example",
            "mapped.example",
        ] {
            let status = rig.connect(&format!("{host}:{port}")).await;
            assert_eq!(status, 403, "{url} {host}");
        }
        // Another port of the same machine is another server.
        let url = format!("http://127.0.0.1:{other_port}/");
        assert_eq!(rig.get(&url).await, 200);
    }
    let denied = EgressSettings {
        closed: vec!["127.0.0.0/8".parse().unwrap()],
        ..allowing(&["127.0.0.1"], &[other_port])
    };
    let rig = Rig::new(denied, names());
    assert_eq!(rig.connect(&other.address.to_string()).await, 403);
    assert_eq!(*temporal.seen.lock(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_reached_while_a_closed_name_cannot_be_checked() {
    let server = WebServer::start().await;
    let port = server.address.port();
    let settings = EgressSettings {
        closed: closed(&format!("https://unknown.invalid:{port}")),
        ..allowing(&["127.0.0.1"], &[port])
    };
    let rig = Rig::new(settings, Names::of([("unknown.invalid", &[])]));
    let answer = rig.send(&connect(&server.address.to_string())).await;
    assert_eq!(status(&answer), 502, "{answer}");
    assert!(!answer.contains("unknown.invalid"), "{answer}");
    assert_eq!(*server.seen.lock(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_for_a_proxy_is_refused() {
    let names = Names::of([("unknown.invalid", &[])]);
    let rig = Rig::new(EgressSettings::default(), names);
    for request in [
        "GET / HTTP/1.1",
        "GET https://a.example/ HTTP/1.1",
        "CONNECT a.example HTTP/1.1",
    ] {
        let answer = rig
            .send(&format!(
                "{request}\r\nhost: x\r\nconnection: close\r\n\r\n"
            ))
            .await;
        assert_eq!(status(&answer), 400, "{request}: {answer}");
    }
    assert_eq!(rig.connect("unknown.invalid:443").await, 502);
    let huge = format!(
        "GET http://a.example/ HTTP/1.1\r\nx: {}\r\n\r\n",
        "x".repeat(64 << 10)
    );
    let mut stream = UnixStream::connect(rig.proxy.socket()).await.unwrap();
    // The proxy can answer before it has read all.
    let _ = stream.write_all(huge.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(LIMIT, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.is_empty() || status(&answer) == 431, "{answer}");
}

#[tokio::test]
async fn a_server_that_closes_and_one_that_speaks_no_http_are_told_apart_from_refusals() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let rig = Rig::new(allowing(&["127.0.0.1"], &[address.port()]), Names::of([]));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(b"SSH-2.0-x\r\n").await;
    });
    let answer = rig.send(&get(&format!("http://{address}/"))).await;
    assert_eq!(status(&answer), 502, "{answer}");
    // Nobody listens there any more.
    let answer = rig.send(&connect(&address.to_string())).await;
    assert_eq!(status(&answer), 502, "{answer}");
    assert!(answer.contains("does not take connections"), "{answer}");
}

/// A tunnel to a server that never sends anything.
async fn silent_tunnel(rig: &Rig, listener: &TcpListener) -> (UnixStream, TcpStream) {
    let mut task = UnixStream::connect(rig.proxy.socket()).await.unwrap();
    let server = listener.local_addr().unwrap().to_string();
    task.write_all(connect(&server).as_bytes()).await.unwrap();
    let (server, _) = timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let read = timeout(LIMIT, task.read_buf(&mut answer)).await.unwrap();
        assert!(read.unwrap() > 0, "the tunnel ended");
    }
    (task, server)
}

#[tokio::test]
async fn a_silent_connection_ends_and_gives_its_place_to_another() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = RelayLimits {
        connections: 1,
        idle_time: Duration::from_secs(1),
        ..RelayLimits::default()
    };
    let port = listener.local_addr().unwrap().port();
    let rig = Rig::with(allowing(&["127.0.0.1"], &[port]), Names::of([]), limits);
    for _ in 0..2 {
        let (mut task, mut server) = silent_tunnel(&rig, &listener).await;
        let mut end = [0];
        for read in [
            timeout(LIMIT, task.read(&mut end)).await.unwrap(),
            timeout(LIMIT, server.read(&mut end)).await.unwrap(),
        ] {
            assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        }
    }
}

#[tokio::test]
async fn connections_wait_for_a_place() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = RelayLimits {
        connections: 1,
        ..RelayLimits::default()
    };
    let port = listener.local_addr().unwrap().port();
    let rig = Rig::with(allowing(&["127.0.0.1"], &[port]), Names::of([]), limits);
    let first = silent_tunnel(&rig, &listener).await;
    let waiting = silent_tunnel(&rig, &listener);
    tokio::pin!(waiting);
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(first);
    waiting.await;
}

#[tokio::test]
async fn connections_and_socket_end_with_the_proxy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let rig = Rig::new(allowing(&["127.0.0.1"], &[port]), Names::of([]));
    let (mut task, mut server) = silent_tunnel(&rig, &listener).await;
    let socket = rig.proxy.socket();
    drop(rig.proxy);
    let mut end = [0];
    for read in [
        timeout(LIMIT, task.read(&mut end)).await.unwrap(),
        timeout(LIMIT, server.read(&mut end)).await.unwrap(),
    ] {
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    assert!(!socket.exists());
    assert_eq!(
        std::fs::read_dir(rig.folder.path().join("run"))
            .unwrap()
            .count(),
        0
    );
}
