//! Workflows per second of a worker on a real Temporal server: without a codec, with a local key, and with a key in the network.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    clippy::unused_async,
    reason = "the SDK's macros make the interface of the workflow"
)]

use std::{fmt::Display, process, sync::Arc};

use anyhow::anyhow;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, Url, WorkflowGetResultOptions,
    WorkflowStartOptions,
};
use temporalio_common::data_converters::DataConverter;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions, WorkflowContext, WorkflowResult, runtime::RuntimeOptions,
};
use tokio::time::Instant;

use crate::{
    payloads::{codec, local_key},
    rounds::median,
    simulated_kms::SimulatedKms,
};

/// How many rounds are measured, after one that makes the data keys.
const ROUNDS: usize = 5;
/// The workflows of a round, and how many run at the same time.
const WORKFLOWS: u32 = 400;
const CONCURRENT: usize = 16;
/// The bytes of the argument of a workflow, which is its result too.
const BYTES: usize = 1 << 10;

/// Returns its argument.
#[workflow]
#[derive(Default)]
pub struct Echo;

#[workflow_methods]
impl Echo {
    #[run]
    pub async fn run(_: &mut WorkflowContext<Self>, text: String) -> WorkflowResult<String> {
        Ok(text)
    }
}

/// The numbers of one worker.
#[derive(Serialize)]
pub(crate) struct Row {
    key: &'static str,
    per_second: f64,
    /// The rate, as a part of that without a codec.
    ratio: f64,
}

/// Measures workers of the Temporal server at `address`, such as `http://127.0.0.1:7233`.
pub(crate) fn measure(address: &str) -> anyhow::Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let folder = tempfile::tempdir()?;
    let local = codec("default", local_key(folder.path())?)?;
    let remote = SimulatedKms::new(local_key(folder.path())?);
    let remote = codec("default", Arc::new(remote))?;
    runtime.block_on(async {
        let mut plain = Measured::connect("none", address, DataConverter::default()).await?;
        let mut local = Measured::connect("local", address, local.data_converter()).await?;
        let remote = remote.data_converter();
        let mut remote = Measured::connect("in the network", address, remote).await?;
        let stops = [&plain, &local, &remote].map(|measured| measured.worker.shutdown_handle());
        let loads = [&plain.load, &local.load, &remote.load];
        let rates = async {
            let rates = rates(&loads).await;
            for stop in stops {
                stop();
            }
            rates
        };
        let (rates, one, two, three) = tokio::join!(
            rates,
            plain.worker.run(),
            local.worker.run(),
            remote.worker.run()
        );
        for ended in [one, two, three] {
            ended.map_err(failed)?;
        }
        let rates = rates?;
        let first = rates.first().map_or(1.0, |(_, rate)| *rate);
        let row = |(key, per_second)| Row {
            key,
            per_second,
            ratio: per_second / first,
        };
        Ok(rates.into_iter().map(row).collect())
    })
}

/// A worker, and what has it run workflows.
struct Measured {
    worker: Worker,
    load: Load,
}

/// A client that starts workflows on the task queue of a worker.
struct Load {
    key: &'static str,
    client: Client,
    queue: String,
}

impl Measured {
    async fn connect(
        key: &'static str,
        address: &str,
        converter: DataConverter,
    ) -> anyhow::Result<Self> {
        let options = ConnectionOptions::new(Url::parse(address)?).build();
        let connection = Connection::connect(options).await.map_err(failed)?;
        let options = ClientOptions::new("default").data_converter(converter);
        let client = Client::new(connection, options.build()).map_err(failed)?;
        let queue = format!("benchmark-{key}-{}", process::id());
        let options = WorkerOptions::new(queue.clone())
            .register_workflow::<Echo>()
            .map_err(failed)?
            .build();
        let runtime = Runtime::from_current_tokio(RuntimeOptions::default()).map_err(failed)?;
        let worker = Worker::new(&runtime, client.clone(), options).map_err(failed)?;
        let load = Load { key, client, queue };
        Ok(Self { worker, load })
    }
}

/// The median rate of each worker. The rounds are interleaved.
async fn rates(loads: &[&Load]) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let mut rates = vec![Vec::new(); loads.len()];
    for round in 0..=ROUNDS {
        for (load, rates) in loads.iter().zip(&mut rates) {
            let begun = Instant::now();
            load.round(round).await?;
            if round > 0 {
                rates.push(f64::from(WORKFLOWS) / begun.elapsed().as_secs_f64());
            }
        }
    }
    let rates = loads.iter().zip(rates);
    Ok(rates
        .map(|(load, rates)| (load.key, median(rates)))
        .collect())
}

impl Load {
    async fn round(&self, round: usize) -> anyhow::Result<()> {
        stream::iter(0..WORKFLOWS)
            .map(|number| self.workflow(format!("{}-{round}-{number}", self.queue)))
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await
    }

    async fn workflow(&self, id: String) -> anyhow::Result<()> {
        let text = "x".repeat(BYTES);
        let options = WorkflowStartOptions::new(&self.queue, id).build();
        let started = self.client.start_workflow(Echo::run, text, options).await;
        let started = started.map_err(failed)?;
        let result = started.get_result(WorkflowGetResultOptions::default());
        let result = result.await.map_err(failed)?;
        anyhow::ensure!(
            result.len() == BYTES,
            "the workflow gives back another text"
        );
        Ok(())
    }
}

fn failed(error: impl Display) -> anyhow::Error {
    anyhow!("{error}")
}
