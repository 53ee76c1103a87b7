//! The HTTP side: routes, what is recorded, start and stop.

use crate::{conversation::Conversation, credential::Credential, reply, script::Script};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::Response,
    routing::{get, post},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

const MAX_BODY: usize = 32 << 20;
const MAX_RECORDS: usize = 1000;

/// Settings that do not depend on the prompt.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only a credential with this SHA-256 (hexadecimal) is accepted; any other is answered 401.
    pub accept_sha256: Option<String>,
}

/// One request, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The status that it was answered with.
    pub status: u16,
    /// The credential's kind and hash.
    pub credential: Option<Credential>,
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    records: Mutex<VecDeque<Record>>,
}

impl Server {
    /// Listens; port 0 picks a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(listen: SocketAddr, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            options,
            records: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let service = routes(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            tokio::select! {
                served = async { axum::serve(listener, service).await } => served,
                // Endless answers would never drain, so stopping drops every connection.
                _ = stopped => Ok(()),
            }
        });
        Ok(Self {
            address,
            shared,
            stop: Some(stop),
            task,
        })
    }

    /// `http://ADDRESS:PORT`, for `ANTHROPIC_BASE_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What arrived so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Record> {
        self.shared.records.lock().iter().cloned().collect()
    }

    /// Stops the server and waits until it has.
    ///
    /// # Errors
    /// When serving had failed.
    pub async fn stop(mut self) -> io::Result<()> {
        self.stop.take();
        (&mut self.task)
            .await
            .unwrap_or_else(|e| Err(io::Error::other(e)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/_requests", get(requests))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared)
}

async fn messages(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let response = shared.admit(&headers).unwrap_or_else(|| {
        let Ok(conversation) = serde_json::from_slice::<Conversation>(&body) else {
            return reply::error(400);
        };
        let results = conversation.tool_results();
        let script = Script::parse(&conversation.prompt());
        let step = script.step(results.len(), results.last().map(String::as_str));
        reply::message(
            step,
            &conversation.model,
            conversation.stream,
            results.len(),
        )
    });
    shared.record(&method, &uri, &headers, &response);
    response
}

async fn count_tokens(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let response = shared.admit(&headers).unwrap_or_else(|| {
        // About four bytes per token. No code depends on the exact number.
        reply::json_response(StatusCode::OK, &json!({"input_tokens": body.len() / 4}))
    });
    shared.record(&method, &uri, &headers, &response);
    response
}

async fn requests(State(shared): State<Arc<Shared>>) -> Response {
    let records: Vec<Record> = shared.records.lock().iter().cloned().collect();
    reply::json_response(StatusCode::OK, &json!(records))
}

async fn unknown(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let response = reply::error(404);
    shared.record(&method, &uri, &headers, &response);
    response
}

impl Shared {
    /// The refusal of a credential that is missing or not the accepted one.
    fn admit(&self, headers: &HeaderMap) -> Option<Response> {
        let credential = Credential::of(headers);
        let accepted = match (&credential, &self.options.accept_sha256) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(credential), Some(wanted)) => credential.sha256.eq_ignore_ascii_case(wanted),
        };
        (!accepted).then(|| reply::error(401))
    }

    fn record(&self, method: &Method, uri: &Uri, headers: &HeaderMap, response: &Response) {
        let mut records = self.records.lock();
        if records.len() == MAX_RECORDS {
            records.pop_front();
        }
        records.push_back(Record {
            method: method.to_string(),
            path: uri.path().to_owned(),
            status: response.status().as_u16(),
            credential: Credential::of(headers),
        });
    }
}
