//! A worker and a client of the Temporal Rust SDK. Temporal stores only ciphertext of what they send.
//!
//! `TEMPORAL_CODEC_KEY=local://default TEMPORAL_CODEC_KEYRING=FOLDER
//! cargo run -p integration-tests --example worker_and_client -- http://127.0.0.1:7233`
#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    clippy::unused_async,
    reason = "the SDK's macros make the interface of the workflow"
)]

use std::{env, error::Error};

use temporal_kms_codec::{Codec, WorkerGuard};
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, Url, WorkflowGetResultOptions,
    WorkflowStartOptions,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions, WorkflowContext, WorkflowResult, runtime::RuntimeOptions,
};

#[workflow]
#[derive(Default)]
pub struct Greet;

#[workflow_methods]
impl Greet {
    #[run]
    pub async fn run(_: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        Ok(format!("Hello, {name}"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).ok_or("name Temporal's address")?;
    let connection = Connection::connect(ConnectionOptions::new(Url::parse(&address)?).build());

    // The client encrypts what it sends, and decrypts what it gets.
    let codec = Codec::from_env().await?;
    let options = ClientOptions::new("default").data_converter(codec.data_converter());
    let client = Client::new(connection.await?, options.build())?;

    // A worker needs the guard too: without it, a query on a workflow whose key is gone ends the worker.
    let guarded = WorkerGuard::new()
        .workflow(Greet::run)
        .client(client.clone())
        .await?;
    let runtime = Runtime::from_current_tokio(RuntimeOptions::default())?;
    let options = WorkerOptions::new("greetings")
        .register_workflow::<Greet>()?
        .build();
    let mut worker = Worker::new(&runtime, guarded, options)?;

    let stop = worker.shutdown_handle();
    let call = async {
        let greeting = greet(&client).await;
        stop();
        greeting
    };
    let (run, greeting) = tokio::join!(worker.run(), call);
    run?;
    println!("{}", greeting?);
    Ok(())
}

async fn greet(client: &Client) -> Result<String, Box<dyn Error>> {
    let options = WorkflowStartOptions::new("greetings", "greet-world").build();
    let name = "World".to_owned();
    let workflow = client.start_workflow(Greet::run, name, options).await?;
    let options = WorkflowGetResultOptions::default();
    Ok(workflow.get_result(options).await?)
}
