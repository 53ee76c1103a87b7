//! One connection of a task: it is a tunnel to a server, or carries requests that are forwarded one by one.

use std::{
    convert::Infallible,
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header, request::Parts,
    uri::PathAndQuery,
};
use http_body_util::{BodyExt as _, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::http1,
    service::service_fn,
    upgrade::{self, OnUpgrade},
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use temporal_kms_codec_service::body::HeldBody;
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    activity::Activity,
    policy::{BoundedLookup, EgressPolicy},
    refusal::Refusal,
    target::Target,
};
use crate::{
    proxy::{
        headers::remove_of_connection,
        listen::{READ_BUFFER, http},
    },
    task::TaskId,
};

/// How many refusals of a task are in the worker's log one by one. The rest is counted.
const LOGGED: u64 = 10;

/// The limits of one task's connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct RelayLimits {
    /// How many are open at the same time. Others wait.
    pub(super) connections: usize,
    /// How long the lookup of a name and the connection to its address may take.
    pub(super) connect_time: Duration,
    /// How long a connection may be silent. It ends at the latest after twice this time.
    pub(super) idle_time: Duration,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            connect_time: Duration::from_secs(20),
            idle_time: Duration::from_mins(5),
        }
    }
}

type AnswerBody = UnsyncBoxBody<Bytes, hyper::Error>;

/// Forwards the connections of one task.
pub(super) struct Relay {
    policy: Arc<EgressPolicy>,
    task: TaskId,
    limits: RelayLimits,
    lookup: BoundedLookup,
    forwarded: AtomicU64,
    refused: AtomicU64,
}

/// Both ends of a tunnel. The task's end is there when the answer to `CONNECT` was sent.
struct Tunnel {
    task: OnUpgrade,
    server: TcpStream,
}

/// The place in which a connection finds the tunnel that it has become.
type Opened = Arc<Mutex<Option<Tunnel>>>;

impl Relay {
    pub(super) fn new(policy: Arc<EgressPolicy>, task: TaskId, limits: RelayLimits) -> Self {
        Self {
            lookup: policy.lookup_of_task(),
            policy,
            task,
            limits,
            forwarded: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Writes into the log what the task has done.
    pub(super) fn sum_up(&self) {
        let forwarded = self.forwarded.load(Ordering::Relaxed);
        let refused = self.refused.load(Ordering::Relaxed);
        if forwarded == 0 && refused == 0 {
            return;
        }
        tracing::info!(task = %self.task, forwarded, refused, "the way of a task to the network is closed");
    }

    /// Serves a connection until it ends, or no byte passes any more.
    pub(super) async fn serve(self: Arc<Self>, stream: UnixStream) {
        let activity = Activity::default();
        let stream = activity.of(stream);
        let idle = self.limits.idle_time;
        tokio::select! {
            () = self.converse(stream) => {}
            () = activity.ended(idle) => {}
        }
    }

    async fn converse(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) {
        let opened = Opened::default();
        let service = service_fn(|request| {
            let (relay, opened) = (Arc::clone(&self), Arc::clone(&opened));
            async move { Ok::<_, Infallible>(relay.answer(request, &opened).await) }
        });
        let served = http()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a connection of a task ended early");
        }
        let tunnel = opened.lock().take();
        if let Some(Tunnel { task, mut server }) = tunnel
            && let Ok(task) = task.await
        {
            // An error is an end like any other.
            let _ = copy_bidirectional(&mut TokioIo::new(task), &mut server).await;
        }
    }

    async fn answer(&self, request: Request<Incoming>, opened: &Opened) -> Response<AnswerBody> {
        let target = Target::of(request.method(), request.uri()).map_err(Refusal::Request);
        let answered = match &target {
            Ok(target) if request.method() == Method::CONNECT => {
                self.tunnel(request, target, opened).await
            }
            Ok(target) => self.forward(request, target).await,
            Err(refusal) => Err(refusal.clone()),
        };
        match answered {
            Ok(answer) => {
                self.forwarded.fetch_add(1, Ordering::Relaxed);
                answer
            }
            Err(refusal) => {
                self.note(&refusal, target.ok().map(|target| target.port));
                answer_of(&refusal)
            }
        }
    }

    fn note(&self, refusal: &Refusal, port: Option<u16>) {
        let Some(reason) = refusal.reason() else {
            return;
        };
        if self.refused.fetch_add(1, Ordering::Relaxed) < LOGGED {
            tracing::info!(task = %self.task, port, reason, "a connection of a task was refused");
        }
    }

    async fn tunnel(
        &self,
        request: Request<Incoming>,
        target: &Target,
        opened: &Opened,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let server = self.connect(target).await?;
        *opened.lock() = Some(Tunnel {
            task: upgrade::on(request),
            server,
        });
        let empty = Empty::new().map_err(|never| match never {});
        Ok(Response::new(empty.boxed_unsync()))
    }

    async fn forward(
        &self,
        request: Request<Incoming>,
        target: &Target,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let broken = || Refusal::Broken {
            host: target.host.clone(),
        };
        let (mut head, body) = request.into_parts();
        to_server(&mut head, target)?;
        let server = self.connect(target).await?;
        let (mut requests, connection) = http1::Builder::new()
            .max_buf_size(READ_BUFFER)
            .handshake(TokioIo::new(server))
            .await
            .map_err(|_| broken())?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a server's connection for a task ended early");
            }
        }));
        let answer = requests.send_request(Request::from_parts(head, body)).await;
        let mut answer = answer.map_err(|_| broken())?;
        remove_of_connection(answer.headers_mut());
        *answer.version_mut() = Version::HTTP_11;
        // The connection lives until its answer is passed on.
        let server = (requests, connection);
        Ok(answer.map(|body| HeldBody::new(body, server).boxed_unsync()))
    }

    /// Connects to an address that was checked.
    async fn connect(&self, target: &Target) -> Result<TcpStream, Refusal> {
        let connecting = async {
            let addresses = self.policy.permitted(target, &self.lookup).await?;
            let time = self.limits.connect_time / 4;
            for address in addresses {
                if let Some(stream) = try_connect(address, time).await {
                    return Ok(stream);
                }
            }
            Err(Refusal::Unreachable {
                host: target.host.clone(),
                port: target.port,
            })
        };
        let late = || Refusal::Late {
            host: target.host.clone(),
            port: target.port,
        };
        let connected = timeout(self.limits.connect_time, connecting).await;
        connected.unwrap_or_else(|_| Err(late()))
    }
}

/// Without the connections of the task.
impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("task", &self.task)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

async fn try_connect(address: SocketAddr, time: Duration) -> Option<TcpStream> {
    let stream = timeout(time, TcpStream::connect(address))
        .await
        .ok()?
        .ok()?;
    // Without it, small writes of a tunnel wait for each other.
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// Makes the head of a request to a proxy one of a request to the server.
fn to_server(head: &mut Parts, target: &Target) -> Result<(), Refusal> {
    let wrong = "the URL is not one";
    let path = head.uri.path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let host = HeaderValue::from_str(&target.host_header());
    remove_of_connection(&mut head.headers);
    // A proxy ignores what the client sends here (RFC 9112, section 3.2.2).
    head.headers
        .insert(header::HOST, host.map_err(|_| Refusal::Request(wrong))?);
    head.uri = Uri::from(path);
    head.version = Version::HTTP_11;
    Ok(())
}

fn answer_of(refusal: &Refusal) -> Response<AnswerBody> {
    let text = Full::new(Bytes::from(format!("{refusal}\n")));
    let mut answer = Response::new(text.map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = refusal.status();
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    if refusal.status() == StatusCode::FORBIDDEN {
        // Many programs show the head of an answer to `CONNECT`, and not its body.
        if let Ok(value) = HeaderValue::from_str(&refusal.to_string()) {
            headers.insert("x-claude-tasks-refused", value);
        }
    }
    answer
}
