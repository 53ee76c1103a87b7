use std::{sync::mpsc, thread, thread::JoinHandle};

use dev_servers::TemporalServer;
use temporal_kms_codec::{Codec, WorkerGuard};
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, Url};
use temporalio_common::data_converters::DataConverter;
use temporalio_sdk::{Runtime, Worker, WorkerOptions, runtime::RuntimeOptions};
use tokio::sync::watch;

use crate::parcel::{Parcel, Post};

/// A running worker for [`Parcel`], with a client beside it; it ends when dropped.
pub struct ParcelWorker {
    client: Client,
    queue: String,
    gate: watch::Sender<bool>,
    stop: Option<Box<dyn FnOnce() + Send>>,
    thread: Option<JoinHandle<()>>,
}

impl ParcelWorker {
    /// Starts a worker whose payloads `codec` encrypts.
    ///
    /// # Panics
    /// The server does not answer.
    pub async fn start(server: &TemporalServer, codec: &Codec, queue: &str) -> Self {
        let namespace = codec.namespace().as_str().to_owned();
        let converter = codec.data_converter();
        let client = connect(server, &namespace, converter.clone()).await;
        let (gate, opened) = watch::channel(false);
        let (started, starting) = mpsc::channel();
        let (url, task_queue) = (server.url(), queue.to_owned());
        // The SDK's worker cannot move between threads.
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let client = connect_url(&url, &namespace, converter).await;
                let client = WorkerGuard::new()
                    .workflow(Parcel::run)
                    .query(Parcel::run, Parcel::labels)
                    .signal(Parcel::run, Parcel::label)
                    .signal(Parcel::run, Parcel::close)
                    .update(Parcel::run, Parcel::relabel)
                    .client(client)
                    .await
                    .expect("a guarded client");
                let options = WorkerOptions::new(task_queue)
                    .register_workflow::<Parcel>()
                    .expect("the workflow registers")
                    .register_activities(Post { gate: opened })
                    .build();
                let runtime =
                    Runtime::from_current_tokio(RuntimeOptions::default()).expect("a runtime");
                let mut worker = Worker::new(&runtime, client, options).expect("a worker");
                let stop: Box<dyn FnOnce() + Send> = Box::new(worker.shutdown_handle());
                started.send(stop).expect("the test waits");
                worker.run().await.expect("the worker runs");
            });
        });
        let stop = starting.recv().expect("the worker starts");
        Self {
            client,
            queue: queue.to_owned(),
            gate,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// A client with the worker's codec.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The worker's task queue.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Lets activities finish.
    pub fn open_gate(&self) {
        self.hold(false);
    }

    /// Keeps activities from finishing, or lets them finish.
    pub fn hold(&self, holds: bool) {
        self.gate.send_replace(!holds);
    }
}

impl Drop for ParcelWorker {
    fn drop(&mut self) {
        self.open_gate();
        if let Some(stop) = self.stop.take() {
            stop();
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client of `server` with `converter`.
pub(crate) async fn connect(
    server: &TemporalServer,
    namespace: &str,
    converter: DataConverter,
) -> Client {
    connect_url(&server.url(), namespace, converter).await
}

async fn connect_url(url: &str, namespace: &str, converter: DataConverter) -> Client {
    let options = ConnectionOptions::new(Url::parse(url).expect("a URL")).build();
    let connection = Connection::connect(options).await.expect("a connection");
    let options = ClientOptions::new(namespace)
        .data_converter(converter)
        .build();
    Client::new(connection, options).expect("a client")
}
