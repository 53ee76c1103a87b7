//! A receiver of webhooks.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;

use crate::StackError;

const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);
const MAX_HEAD: u64 = 64 << 10;
const MAX_BODY: usize = 16 << 20;

/// A webhook that arrived.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The status with which it was answered.
    pub status: u16,
    /// The head in lower case.
    pub head: String,
    /// The body, byte by byte as it came.
    pub body: Vec<u8>,
}

impl Webhook {
    /// The value of a header, whose name is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
    }

    /// The body as JSON, or null.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A receiver on the loopback interface. It answers with the statuses that it was given, and then with 200.
#[derive(Debug)]
pub struct WebhookReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    received: Mutex<Vec<Webhook>>,
    arrived: AtomicUsize,
    is_stopped: AtomicBool,
}

impl WebhookReceiver {
    /// Listens on a free port.
    ///
    /// # Errors
    /// The system has no port to give.
    pub fn start(statuses: &[u16]) -> Result<Self, StackError> {
        Self::start_held(statuses, PathBuf::new())
    }

    /// A receiver that answers only while the file `gate` does not exist. A webhook counts only if its sender still waits for
    /// the answer.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_held(statuses: &[u16], gate: PathBuf) -> Result<Self, StackError> {
        let no_port = || StackError::system("no free port on 127.0.0.1");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(no_port())?;
        let address = listener.local_addr().map_err(no_port())?;
        let shared = Arc::<Shared>::default();
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            let statuses = statuses.iter().copied().collect();
            move || serve(&listener, statuses, &gate, &shared)
        });
        Ok(Self {
            address,
            shared,
            thread: Some(thread),
        })
    }

    /// The URL to call, with a secret in its query as many receivers have one.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook?key=url-secret", self.address)
    }

    /// Its port at 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many webhooks have arrived, with those that are not answered yet.
    #[must_use]
    pub fn arrived(&self) -> usize {
        self.shared.arrived.load(Ordering::SeqCst)
    }

    /// What was answered, oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<Webhook> {
        let received = self.shared.received.lock();
        received.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The webhooks that were answered with 200.
    #[must_use]
    pub fn accepted(&self) -> Vec<Value> {
        let received = self.received();
        let accepted = received.iter().filter(|webhook| webhook.status == 200);
        accepted.map(Webhook::json).collect()
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        // The thread waits for a connection.
        let _ = TcpStream::connect_timeout(&self.address, PATIENCE);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, mut statuses: VecDeque<u16>, gate: &Path, shared: &Shared) {
    for connection in listener.incoming() {
        if shared.is_stopped.load(Ordering::SeqCst) {
            break;
        }
        let Ok(connection) = connection else { continue };
        let Ok((head, body)) = read(&connection) else {
            continue;
        };
        shared.arrived.fetch_add(1, Ordering::SeqCst);
        while gate.exists() && !shared.is_stopped.load(Ordering::SeqCst) {
            thread::sleep(PAUSE);
        }
        if has_left(&connection) {
            continue;
        }
        let status = statuses.pop_front().unwrap_or(200);
        let mut all = shared
            .received
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.push(Webhook { status, head, body });
        drop(all);
        let answer =
            format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let _ = (&connection).write_all(answer.as_bytes());
    }
}

/// Whether the sender has closed the connection, or it is lost.
fn has_left(connection: &TcpStream) -> bool {
    let peeked = connection
        .set_nonblocking(true)
        .and_then(|()| connection.peek(&mut [0]));
    let is_waiting = matches!(&peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
    connection.set_nonblocking(false).is_err() || !is_waiting
}

/// The head in lower case, and the body.
fn read(connection: &TcpStream) -> io::Result<(String, Vec<u8>)> {
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    let mut lines = (&mut reader).take(MAX_HEAD);
    while lines.read_line(&mut head)? > 2 {}
    let head = head.to_ascii_lowercase();
    let length = head
        .split_once("content-length: ")
        .and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok())
        .unwrap_or(0);
    if length > MAX_BODY {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(receiver: &WebhookReceiver) -> String {
        let mut stream = TcpStream::connect(receiver.address).unwrap();
        let request = "POST /hook HTTP/1.1\r\nX-Sign: a\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn statuses_come_in_order_and_webhooks_are_kept() {
        let receiver = WebhookReceiver::start(&[503]).unwrap();
        assert!(send(&receiver).starts_with("HTTP/1.1 503"));
        assert!(send(&receiver).starts_with("HTTP/1.1 200"));
        assert_eq!(receiver.accepted(), [serde_json::json!({"a": 1})]);
        let [first, _] = receiver.received().try_into().unwrap();
        assert_eq!((first.status, first.header("x-sign")), (503, Some("a")));
        assert_eq!(first.header("x-other"), None);
    }

    #[test]
    fn a_dropped_receiver_frees_its_port() {
        let receiver = WebhookReceiver::start(&[]).unwrap();
        let port = receiver.port();
        assert!(!crate::is_free(port));
        drop(receiver);
        assert!(crate::is_free(port));
    }
}
