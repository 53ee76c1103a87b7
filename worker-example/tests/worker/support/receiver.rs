//! A receiver of webhooks. It answers with the statuses that a test gives, and then with 200. It can hold its answers back.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::Value;

/// A webhook that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) status: u16,
    /// The head in lower case.
    pub(crate) head: String,
    pub(crate) body: Value,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
    arrived: Arc<AtomicUsize>,
}

impl Receiver {
    pub(crate) fn start(statuses: &[u16]) -> Self {
        Self::start_held(statuses, PathBuf::new())
    }

    /// A receiver that answers only while this file does not exist. An answer counts only if its sender still waits for it.
    pub(crate) fn start_held(statuses: &[u16], gate: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "http://{}/hook?key=url-secret",
            listener.local_addr().unwrap()
        );
        let received = Arc::new(Mutex::new(Vec::new()));
        let (kept, arrived) = (Arc::clone(&received), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&arrived);
        let mut statuses: VecDeque<u16> = statuses.iter().copied().collect();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(connection) = connection else { break };
                let mut reader = BufReader::new(&connection);
                let mut head = String::new();
                while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
                let head = head.to_ascii_lowercase();
                let length = head
                    .split_once("content-length: ")
                    .and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                reader.read_exact(&mut body).unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                while gate.exists() {
                    thread::sleep(Duration::from_millis(50));
                }
                if has_left(&connection) {
                    continue;
                }
                let status = statuses.pop_front().unwrap_or(200);
                kept.lock().push(Received {
                    status,
                    head,
                    body: serde_json::from_slice(&body).unwrap_or_default(),
                });
                let answer = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                let _ = (&connection).write_all(answer.as_bytes());
            }
        });
        Self {
            url,
            received,
            arrived,
        }
    }

    /// How many webhooks have arrived, with those that are not answered yet.
    pub(crate) fn arrived(&self) -> usize {
        self.arrived.load(Ordering::SeqCst)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().clone()
    }

    /// The webhooks that were acknowledged.
    pub(crate) fn accepted(&self) -> Vec<Value> {
        let received = self.received();
        let accepted = received.into_iter().filter(|webhook| webhook.status == 200);
        accepted.map(|webhook| webhook.body).collect()
    }
}

/// Whether the sender has closed the connection.
fn has_left(connection: &TcpStream) -> bool {
    connection.set_nonblocking(true).unwrap();
    let has_left = matches!(connection.peek(&mut [0]), Ok(0));
    connection.set_nonblocking(false).unwrap();
    has_left
}
