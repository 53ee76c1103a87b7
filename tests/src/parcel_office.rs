use std::{process::Command, sync::Arc};

use dev_servers::{Service, TemporalOptions, TemporalServer};
use temporal_kms_codec::PlaintextPolicy;
use temporalio_client::{
    WorkflowGetResultOptions, WorkflowHandle, WorkflowSignalOptions, WorkflowStartOptions,
};
use temporalio_common::MemoValues;
use uuid::Uuid;

use crate::{
    Keyring, ParcelWorker, Raw, codec_server,
    parcel::{Order, Parcel},
    temporal, tool,
};

/// A worker with an encrypted workflow, and everything that command lines need to look at it.
pub struct ParcelOffice {
    // Dropped in this order: who asks goes before who answers.
    worker: ParcelWorker,
    codec_server: Service,
    server: Arc<TemporalServer>,
    keyring: Keyring,
    namespace: String,
}

impl ParcelOffice {
    /// What its parcels contain.
    pub const CONTENT: &str = "a letter from the tax office";
    /// The note in their memo.
    pub const NOTE: &str = "leave it with the neighbours";
    /// The label that they have got by a signal.
    pub const LABEL: &str = "postage due from sender";

    /// Starts the servers and the worker, whose activities finish at once.
    pub async fn open(namespace: &str) -> Self {
        Self::open_that(namespace, PlaintextPolicy::Reject).await
    }

    /// The same with a worker that reads plaintext: `tctl` sends the arguments of queries and the inputs of starts in the
    /// clear.
    ///
    /// # Panics
    /// It does not start.
    pub async fn open_to_plaintext(namespace: &str) -> Self {
        Self::open_that(namespace, PlaintextPolicy::Allow).await
    }

    async fn open_that(namespace: &str, plaintext: PlaintextPolicy) -> Self {
        let keyring = Keyring::new();
        let codec_server = codec_server(&keyring);
        Self::start(temporal(), namespace, keyring, codec_server, plaintext).await
    }

    /// The same at a Temporal server of its own, whose Web UI asks the codec server.
    ///
    /// # Panics
    /// It does not start.
    pub async fn open_with_ui() -> Self {
        let keyring = Keyring::new();
        let codec_server = codec_server(&keyring);
        Self::start_with_ui(keyring, codec_server).await
    }

    /// The same with another codec server than the worker's keys need.
    ///
    /// # Panics
    /// It does not start.
    pub async fn open_with_ui_and(codec_server: Service) -> Self {
        Self::start_with_ui(Keyring::new(), codec_server).await
    }

    async fn start_with_ui(keyring: Keyring, codec_server: Service) -> Self {
        let options = TemporalOptions {
            ui: true,
            ui_codec_endpoint: Some(codec_server.url().to_owned()),
            ..TemporalOptions::default()
        };
        let server = TemporalServer::start(&tool("TKC_TEMPORAL"), &options);
        let server = Arc::new(server.expect("a Temporal server"));
        let plaintext = PlaintextPolicy::Reject;
        Self::start(server, "default", keyring, codec_server, plaintext).await
    }

    async fn start(
        server: Arc<TemporalServer>,
        namespace: &str,
        keyring: Keyring,
        codec_server: Service,
        plaintext: PlaintextPolicy,
    ) -> Self {
        let queue = format!("office-{}", Uuid::new_v4());
        let codec = keyring
            .builder(namespace)
            .plaintext_policy(plaintext)
            .build()
            .expect("a codec");
        let worker = ParcelWorker::start(&server, &codec, &queue).await;
        worker.open_gate();
        Self {
            server,
            namespace: namespace.to_owned(),
            keyring,
            codec_server,
            worker,
        }
    }

    /// A labelled parcel that waits to be closed; its workflow id.
    ///
    /// # Panics
    /// Temporal refuses it.
    pub async fn accept(&self) -> String {
        self.accept_order(Order {
            content: Self::CONTENT.to_owned(),
            ..Order::default()
        })
        .await
    }

    /// As [`accept`](Self::accept), of an order.
    ///
    /// # Panics
    /// Temporal refuses it.
    pub async fn accept_order(&self, order: Order) -> String {
        let id = format!("parcel-{}", Uuid::new_v4());
        let mut memo = MemoValues::new();
        memo.insert("note", Self::NOTE.to_owned());
        let options = WorkflowStartOptions::new(self.worker.queue(), &id)
            .memo(memo)
            .build();
        let started = self
            .worker
            .client()
            .start_workflow(Parcel::run, order, options)
            .await;
        started.expect("started");
        let signal = WorkflowSignalOptions::default();
        let parcel = self.parcel(&id);
        let labelled = parcel.signal(Parcel::label, Self::LABEL.to_owned(), signal);
        labelled.await.expect("labelled");
        id
    }

    /// Closes a parcel and returns its result.
    ///
    /// # Panics
    /// The workflow fails.
    pub async fn deliver(&self, id: &str) -> String {
        self.close(id).await;
        self.parcel(id)
            .get_result(WorkflowGetResultOptions::default())
            .await
            .expect("delivered")
    }

    /// Closes a parcel, and waits for nothing.
    ///
    /// # Panics
    /// Temporal refuses it.
    pub async fn close(&self, id: &str) {
        let signal = WorkflowSignalOptions::default();
        let closed = self.parcel(id).signal(Parcel::close, (), signal).await;
        closed.expect("closed");
    }

    /// Keeps activities from finishing from now on, or lets them finish.
    pub fn hold(&self, holds: bool) {
        self.worker.hold(holds);
    }

    /// `temporal ARGUMENTS` in this namespace; what it prints, on both outputs.
    ///
    /// # Panics
    /// It fails.
    #[expect(clippy::must_use_candidate, reason = "often it is done for its effect")]
    pub fn temporal(&self, arguments: &[&str]) -> String {
        let mut command = self.server.cli();
        command
            .env("TEMPORAL_NAMESPACE", &self.namespace)
            .args(arguments);
        output(command)
    }

    /// `temporal`, without anything said to it yet.
    #[must_use]
    pub fn cli(&self) -> Command {
        let mut command = self.server.cli();
        command.env("TEMPORAL_NAMESPACE", &self.namespace);
        command
    }

    /// The Temporal server's address.
    #[must_use]
    pub fn address(&self) -> String {
        self.server.address()
    }

    /// The codec server's URL.
    #[must_use]
    pub fn codec_url(&self) -> &str {
        self.codec_server.url()
    }

    /// The Web UI's URL.
    ///
    /// # Panics
    /// The office was opened without one.
    #[must_use]
    pub fn ui_url(&self) -> String {
        self.server.ui_url().expect("a Web UI")
    }

    /// Ends the codec server.
    pub fn stop_codec_server(&mut self) {
        self.codec_server.stop();
    }

    /// The worker's task queue.
    #[must_use]
    pub fn queue(&self) -> &str {
        self.worker.queue()
    }

    /// The worker's and the codec server's keys.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// What Temporal stores.
    pub async fn raw(&self) -> Raw {
        Raw::connect(&self.server, &self.namespace).await
    }

    fn parcel(&self, id: &str) -> WorkflowHandle<temporalio_client::Client, Parcel> {
        self.worker.client().get_workflow_handle(id)
    }
}

/// What `command` prints on both outputs.
///
/// # Panics
/// It fails.
#[expect(clippy::must_use_candidate, reason = "often it is done for its effect")]
pub fn output(mut command: Command) -> String {
    let output = command.output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{command:?} failed:\n{text}");
    text
}
