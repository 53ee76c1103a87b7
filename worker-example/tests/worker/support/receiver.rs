//! A receiver of webhooks. It answers with the statuses that a test gives, and then with 200.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::Arc,
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
}

impl Receiver {
    pub(crate) fn start(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "http://{}/hook?key=url-secret",
            listener.local_addr().unwrap()
        );
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        let mut statuses: VecDeque<u16> = statuses.iter().copied().collect();
        std::thread::spawn(move || {
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
        Self { url, received }
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
