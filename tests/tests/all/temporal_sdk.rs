//! The Rust SDK with our codec against a real server: everything that carries payloads.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use dev_servers::TemporalServer;
use integration_tests::{
    Keyring, ParcelWorker, Raw, assert_absent, assert_present,
    parcel::{Order, Parcel},
    temporal, until,
};
use prost::Message as _;
use temporal_kms_codec::Codec;
use temporalio_client::{
    Client, WorkflowDescribeOptions, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions,
    WorkflowHandle, WorkflowHistory, WorkflowQueryOptions, WorkflowSignalOptions,
    WorkflowStartOptions, errors::WorkflowGetResultError,
};
use temporalio_common::{
    MemoValues,
    data_converters::{SerializationContextData, WorkflowSerializationContext},
    payload_visitor::decode_payloads,
    protos::temporal::api::{
        common::v1::{Payload, Payloads},
        enums::v1::{EventType, PendingActivityState},
        failure::v1::Failure,
        history::v1::{History, HistoryEvent, history_event::Attributes},
    },
};
use temporalio_sdk::workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions};
use uuid::Uuid;

const CONTENT: &str = "two gold bars, käse & \"cheese\"";
const NOTE: &str = "ring twice at the back door";
const LABEL: &str = "fragile: handle by night";
const RELABEL: &str = "handle with tongs only";
const PREFIX: &str = "label reads: ";

fn order() -> Order {
    Order {
        content: CONTENT.to_owned(),
        ..Order::default()
    }
}

/// A parcel on its way.
struct Sent {
    id: String,
    first_run: String,
    handle: WorkflowHandle<Client, Parcel>,
}

impl Sent {
    async fn start(worker: &ParcelWorker, order: Order) -> Self {
        let mut memo = MemoValues::new();
        memo.insert("note", NOTE.to_owned());
        let id = format!("parcel-{}", Uuid::new_v4());
        let options = WorkflowStartOptions::new(worker.queue(), &id)
            .memo(memo)
            .build();
        let started = worker
            .client()
            .start_workflow(Parcel::run, order, options)
            .await;
        let first_run = started
            .expect("it starts")
            .run_id()
            .expect("a run")
            .to_owned();
        let handle = worker.client().get_workflow_handle(&id);
        Self {
            id,
            first_run,
            handle,
        }
    }

    async fn close(&self) {
        let closed = self
            .handle
            .signal(Parcel::close, (), WorkflowSignalOptions::default())
            .await;
        closed.expect("closed");
    }

    async fn result(&self) -> Result<String, WorkflowGetResultError> {
        self.handle
            .get_result(WorkflowGetResultOptions::default())
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_workflow_is_told_or_tells_is_stored_in_the_clear() {
    let server = temporal();
    let keyring = Keyring::new();
    let codec = keyring.codec("default");
    let worker = ParcelWorker::start(&server, &codec, "everything").await;
    let raw = Raw::connect(&server, "default").await;
    let secrets = [CONTENT, NOTE, LABEL, RELABEL];

    let parcel = Sent::start(&worker, order()).await;
    let (id, handle) = (&parcel.id, &parcel.handle);

    // The heartbeat and the first attempt's failure are in the pending activity only.
    let pending = until("the activity's second attempt", async || {
        let description = raw.describe(id).await;
        let activity = description.pending_activities.first()?;
        (activity.attempt == 2 && activity.last_failure.is_some()).then_some(description)
    })
    .await;
    let activity = &pending.pending_activities[0];
    let heartbeat = &activity
        .heartbeat_details
        .as_ref()
        .expect("a heartbeat")
        .payloads[0];
    assert_eq!(heartbeat.metadata["encoding"], b"binary/envelope-kms");
    assert_encrypted(activity.last_failure.as_ref().expect("a failure"));
    assert_absent("the description", &pending.encode_to_vec(), &secrets);
    worker.open_gate();

    let signal = WorkflowSignalOptions::default();
    handle
        .signal(Parcel::label, LABEL.to_owned(), signal)
        .await
        .expect("labelled");
    let query = WorkflowQueryOptions::default();
    let labels = handle
        .query(Parcel::labels, PREFIX.to_owned(), query)
        .await
        .expect("labels");
    assert_eq!(labels, [format!("{PREFIX}{LABEL}")]);
    let update = WorkflowExecuteUpdateOptions::default();
    let old = handle
        .execute_update(Parcel::relabel, RELABEL.to_owned(), update)
        .await;
    assert_eq!(old.expect("relabelled"), [LABEL]);
    parcel.close().await;
    let told = parcel.result().await.expect("a result");
    assert_eq!(told, format!("stamped, noted {CONTENT}; {RELABEL}"));

    let description = handle
        .describe(WorkflowDescribeOptions::default())
        .await
        .expect("a description");
    assert_eq!(
        description
            .memo()
            .get::<String>("note")
            .expect("text")
            .as_deref(),
        Some(NOTE)
    );

    let history = raw.history(id, "").await;
    assert_absent("the history", &history.encode_to_vec(), &secrets);
    assert_absent(
        "the description",
        &raw.describe(id).await.encode_to_vec(),
        &secrets,
    );
    // The memo, the input, the signal, both sides of activity, heartbeat and update, the result.
    let opened = decode_all(&codec, &history).await;
    assert_present("the decoded history", &opened, &secrets);
    assert_eq!(
        codec.stats().wraps,
        1,
        "one data key serves the whole workflow"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_keeps_its_message_and_details_from_temporal() {
    let server = temporal();
    let keyring = Keyring::new();
    let codec = keyring.codec("default");
    let worker = ParcelWorker::start(&server, &codec, "failure").await;
    worker.open_gate();
    let parcel = Sent::start(
        &worker,
        Order {
            fails: true,
            ..order()
        },
    )
    .await;
    parcel.close().await;

    let error = parcel.result().await.expect_err("the parcel is lost");
    assert!(
        matches!(error, WorkflowGetResultError::Failed(_)),
        "{error:?}"
    );
    assert!(
        format!("{error:?}").contains(&format!("lost {}", CONTENT.escape_debug())),
        "{error:?}"
    );

    let raw = Raw::connect(&server, "default").await;
    let history = raw.history(&parcel.id, "").await;
    let end = history
        .events
        .last()
        .and_then(|event| event.attributes.clone());
    let Some(Attributes::WorkflowExecutionFailedEventAttributes(failed)) = end else {
        panic!("the workflow ended with {end:?}");
    };
    assert_encrypted(&failed.failure.expect("a failure"));
    assert_absent(
        "the history",
        &history.encode_to_vec(),
        &[CONTENT, "last seen", "stamped, noted"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_run_of_a_workflow_that_continues_as_new_is_encrypted() {
    let server = temporal();
    let keyring = Keyring::new();
    let codec = keyring.codec("other");
    let worker = ParcelWorker::start(&server, &codec, "continue").await;
    worker.open_gate();
    let parcel = Sent::start(
        &worker,
        Order {
            rounds: 2,
            ..order()
        },
    )
    .await;

    let raw = Raw::connect(&server, "other").await;
    let mut run = parcel.first_run.clone();
    let mut runs = 1;
    while runs < 3 {
        run = until("the next run", async || {
            next_run(&raw.history(&parcel.id, &run).await)
        })
        .await;
        runs += 1;
        let history = raw.history(&parcel.id, &run).await;
        assert_absent("the history", &history.encode_to_vec(), &[CONTENT, NOTE]);
    }
    parcel.close().await;
    assert_eq!(
        parcel.result().await.expect("a result"),
        format!("stamped, noted {CONTENT}; ")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_replays_with_its_key_and_not_without() {
    let server = temporal();
    let keyring = Keyring::new();
    let worker = ParcelWorker::start(&server, &keyring.codec("default"), "replay").await;
    worker.open_gate();
    let parcel = Sent::start(&worker, order()).await;
    parcel.close().await;
    parcel.result().await.expect("a result");
    drop(worker);

    let raw = Raw::connect(&server, "default").await;
    let history = raw.history(&parcel.id, "").await;
    replay(&keyring.codec("default"), history.clone())
        .await
        .expect("the history replays");
    let strangers = Keyring::new();
    let stranger = strangers.codec("default");
    let error = replay(&stranger, history)
        .await
        .expect_err("another key opens nothing");
    assert!(!error.contains(CONTENT), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_worker_reads_what_the_earlier_one_wrote_even_after_a_rotation() {
    let server = temporal();
    let keyring = Keyring::new();
    let first = ParcelWorker::start(&server, &keyring.codec("default"), "restart").await;
    let parcel = Sent::start(&first, order()).await;
    let raw = Raw::connect(&server, "default").await;
    until("the heartbeat", async || {
        let description = raw.describe(&parcel.id).await;
        description
            .pending_activities
            .first()?
            .heartbeat_details
            .clone()
    })
    .await;
    drop(first);
    keyring.keys().rotate("default").expect("rotated");

    let second_codec = keyring.codec("default");
    let second = ParcelWorker::start(&server, &second_codec, "restart").await;
    second.open_gate();
    parcel.close().await;
    let handle = second.client().get_workflow_handle::<Parcel>(&parcel.id);
    let result = handle.get_result(WorkflowGetResultOptions::default()).await;
    assert_eq!(
        result.expect("a result"),
        format!("stamped, noted {CONTENT}; ")
    );
    assert!(
        second_codec.stats().unwraps >= 1,
        "the earlier worker's data key was unwrapped"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_cannot_be_opened_ends_the_worker() {
    let server = temporal();
    let keyring = Keyring::new();
    let worker = ParcelWorker::start(&server, &keyring.codec("default"), "unopened").await;
    let raw = Raw::connect(&server, "default").await;
    let other = Sent::start(&worker, order()).await;
    let mut hit = Vec::new();
    for _ in 0..5 {
        hit.push(Sent::start(&worker, order()).await);
    }
    for sent in hit.iter().chain([&other]) {
        until("the activity's second attempt", async || {
            let description = raw.describe(&sent.id).await;
            let activity = description.pending_activities.first()?;
            // The server takes an outcome only while the attempt runs.
            let runs = activity.state() == PendingActivityState::Started;
            (activity.attempt == 2 && runs).then_some(())
        })
        .await;
    }
    let [signal, update, result, failure, heartbeat] = &hit[..] else {
        panic!("five workflows");
    };

    let by_id = |sent: &Sent| ["--activity-id=1".to_owned(), format!("-w={}", sent.id)];
    for (sent, arguments) in [
        (
            signal,
            &["workflow", "signal", "--name=label", "--input=1"][..],
        ),
        (result, &["activity", "complete", "--result=\"plain\""]),
        (failure, &["activity", "fail", "--detail=\"plain\""]),
    ] {
        let id = by_id(sent);
        let id = if arguments[0] == "activity" {
            &id[..]
        } else {
            &id[1..]
        };
        let arguments: Vec<&str> = arguments
            .iter()
            .copied()
            .chain(id.iter().map(String::as_str))
            .collect();
        let (done, text) = temporal_cli(&server, &arguments);
        assert!(done, "{arguments:?}: {text}");
    }
    let (done, text) = temporal_cli(
        &server,
        &[
            "workflow",
            "update",
            "execute",
            "-w",
            &update.id,
            "--name=relabel",
            "--input=1",
        ],
    );
    assert!(!done, "{text}");
    raw.heartbeat(&heartbeat.id, "1", plain()).await;
    let (unreadable, continued) = (
        format!("unreadable-{}", Uuid::new_v4()),
        format!("continued-{}", Uuid::new_v4()),
    );
    raw.start("Parcel", &unreadable, worker.queue(), plain())
        .await;
    raw.start("Parcel", &continued, "nobody's", plain()).await;
    raw.continue_as_new(&continued, "nobody's", worker.queue(), plain())
        .await;

    let unopened = [&signal.id, &result.id, &unreadable, &continued];
    for id in unopened {
        until("a failed workflow task", async || {
            let events = raw.history(id, "").await.events;
            let failed = |event: &HistoryEvent| event.event_type() == EventType::WorkflowTaskFailed;
            events.iter().any(failed).then_some(())
        })
        .await;
    }
    let all: Vec<&String> = hit.iter().map(|sent| &sent.id).chain(unopened).collect();
    for end in ["query", "cancel", "query", "terminate", "query"] {
        for id in &all {
            let kinds: &[&str] = match end {
                "query" => &["labels", "__temporal_workflow_metadata", "__stack_trace"],
                _ => &[""],
            };
            for kind in kinds {
                let kind = format!("--type={kind}");
                let mut arguments = vec!["workflow", end, "-w", id];
                if end == "query" {
                    arguments.push(&kind);
                }
                // Each may fail, be answered, or have nothing left to do.
                temporal_cli(&server, &arguments);
            }
        }
    }

    worker.open_gate();
    other.close().await;
    let told = other.result().await.expect("the other workflow ends well");
    assert_eq!(told, format!("stamped, noted {CONTENT}; "));
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_on_a_workflow_whose_key_is_gone_do_not_end_the_worker() {
    let server = temporal();
    let lost = Keyring::new();
    let first = ParcelWorker::start(&server, &lost.codec("default"), "guarded").await;
    first.open_gate();
    let unreadable = Sent::start(&first, order()).await;
    unreadable.close().await;
    unreadable.result().await.expect("a result");
    drop(first);

    let keyring = Keyring::new();
    let worker = ParcelWorker::start(&server, &keyring.codec("default"), "guarded").await;
    let other = Sent::start(&worker, order()).await;
    for query in [
        "labels",
        "__temporal_workflow_metadata",
        "__stack_trace",
        "nonsense",
    ] {
        let answer = server
            .cli()
            .args(["workflow", "query", "-w", &unreadable.id, "--type", query])
            .output()
            .expect("the CLI runs");
        let text = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(!answer.status.success(), "{query}: {text}");
        assert!(
            text.contains("cannot decode the workflow's history"),
            "{query}: {text}"
        );
    }

    worker.open_gate();
    other.close().await;
    let told = other.result().await.expect("the other workflow ends well");
    assert_eq!(told, format!("stamped, noted {CONTENT}; "));
    // A query that can be answered still is, also on a closed workflow.
    let query = WorkflowQueryOptions::default();
    let labels = other
        .handle
        .query(Parcel::labels, String::new(), query)
        .await;
    assert_eq!(labels.expect("an answer"), Vec::<String>::new());
}

/// The history with every payload decoded.
/// A payload that is not encrypted.
fn plain() -> Payloads {
    let payload = Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: b"{}".to_vec(),
        ..Payload::default()
    };
    Payloads {
        payloads: vec![payload],
    }
}

/// Calls `temporal ARGUMENTS` about payloads that nobody encrypted; what it prints.
fn temporal_cli(server: &TemporalServer, arguments: &[&str]) -> (bool, String) {
    let mut command = server.cli();
    let output = command
        .args(arguments)
        .arg("--command-timeout=3s")
        .output()
        .expect("the CLI runs");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

async fn decode_all(codec: &Codec, history: &History) -> Vec<u8> {
    let mut opened = history.clone();
    let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
    decode_payloads(&mut opened, codec, &context)
        .await
        .expect("every payload decodes");
    opened.encode_to_vec()
}

/// Temporal knows of a failure only that there is one.
fn assert_encrypted(failure: &Failure) {
    assert_eq!(failure.message, "Encoded failure");
    assert_eq!(failure.stack_trace, "");
    let attributes = failure
        .encoded_attributes
        .as_ref()
        .expect("encoded attributes");
    assert_eq!(attributes.metadata["encoding"], b"binary/envelope-kms");
}

fn next_run(history: &History) -> Option<String> {
    match history.events.last()?.attributes.clone()? {
        Attributes::WorkflowExecutionContinuedAsNewEventAttributes(next) => {
            Some(next.new_execution_run_id)
        }
        _ => None,
    }
}

async fn replay(codec: &Codec, history: History) -> Result<(), String> {
    let options = WorkflowReplayerOptions::new()
        .namespace("default")
        .task_queue("replay")
        .data_converter(codec.data_converter())
        .register_workflow::<Parcel>()
        .expect("the workflow registers")
        .build();
    let replayer = WorkflowReplayer::new(options).expect("a replayer");
    replayer
        .replay_workflow(WorkflowHistory::from(history))
        .await
        .map_err(|error| format!("{error:?}"))
}
