//! Answers that get the names, and tasks that are over.

use std::future::pending;

use futures::future::BoxFuture;
use temporalio_common::{
    data_converters::{
        DefaultFailureConverter, PayloadCodec, PayloadConversionError, PayloadConverter,
        SerializationContextData,
    },
    protos::temporal::api::{
        common::v1::{Payload, WorkflowType},
        query::v1::{WorkflowQuery, WorkflowQueryResult},
    },
};

use super::*;

fn definitions() -> Definitions {
    let definition = Definition {
        queries: ["state".to_owned()].into(),
        ..Definition::default()
    };
    Definitions::new([("Parcel".to_owned(), definition)].into())
}

fn query(name: &str) -> WorkflowQuery {
    WorkflowQuery {
        query_type: name.to_owned(),
        ..WorkflowQuery::default()
    }
}

fn task(token: &[u8], query_type: &str) -> PollWorkflowTaskQueueResponse {
    PollWorkflowTaskQueueResponse {
        task_token: token.to_vec(),
        workflow_type: Some(WorkflowType {
            name: "Parcel".to_owned(),
        }),
        query: Some(query(query_type)),
        ..PollWorkflowTaskQueueResponse::default()
    }
}

fn result(data: &str) -> Payloads {
    let payload = Payload {
        data: data.as_bytes().to_vec(),
        ..Payload::default()
    };
    Payloads {
        payloads: vec![payload],
    }
}

fn call(rpc: &str, message: &impl prost::Message) -> GrpcRequest {
    GrpcRequest {
        service: crate::temporal::rpc::WORKFLOW_SERVICE.to_owned(),
        rpc: rpc.to_owned(),
        headers: http::HeaderMap::new(),
        proto: message.encode_to_vec().into(),
    }
}

fn text(result: &Payloads) -> &str {
    std::str::from_utf8(&result.payloads[0].data).unwrap()
}

fn answer(token: &[u8], data: &str) -> GrpcRequest {
    let answer = RespondQueryTaskCompletedRequest {
        task_token: token.to_vec(),
        query_result: Some(result(data)),
        ..RespondQueryTaskCompletedRequest::default()
    };
    call(QUERY_ANSWER, &answer)
}

/// What Temporal gets where the worker answers the query of `token` with `data`, and the task that is then over.
async fn sent(
    definitions: &Definitions,
    token: &[u8],
    data: &str,
    converter: &DataConverter,
) -> (String, Option<Vec<u8>>) {
    let (sent, ended) = definitions.complete(answer(token, data), converter).await;
    let sent = RespondQueryTaskCompletedRequest::decode(sent.proto).unwrap();
    (text(&sent.query_result.unwrap()).to_owned(), ended)
}

/// As [`sent`], and Temporal accepts it.
async fn answered(definitions: &Definitions, token: &[u8], data: &str) -> String {
    let (sent, ended) = sent(definitions, token, data, &DataConverter::default()).await;
    if let Some(token) = ended {
        definitions.forget(&token);
    }
    sent
}

/// A codec whose key service hangs.
struct Hanging;

type Coded = BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>>;

impl PayloadCodec for Hanging {
    fn encode(&self, _: &SerializationContextData, _: Vec<Payload>) -> Coded {
        Box::pin(pending())
    }

    fn decode(&self, _: &SerializationContextData, _: Vec<Payload>) -> Coded {
        Box::pin(pending())
    }
}

#[tokio::test]
async fn a_call_that_is_repeated_has_the_names_again() {
    let definitions = definitions();
    definitions.note(&task(b"a", METADATA));
    let converter = DataConverter::default();
    for _ in 0..2 {
        let (sent, ended) = sent(&definitions, b"a", "{}", &converter).await;
        assert!(sent.contains("queryDefinitions"), "{sent}");
        assert_eq!(ended.as_deref(), Some(&b"a"[..]));
    }
    definitions.forget(b"a");
    assert_eq!(answered(&definitions, b"a", "{}").await, "{}");
}

#[tokio::test]
async fn a_task_that_the_worker_gives_up_is_over() {
    let definitions = definitions();
    definitions.note(&task(b"a", METADATA));
    let failure = RespondWorkflowTaskFailedRequest {
        task_token: b"a".to_vec(),
        ..RespondWorkflowTaskFailedRequest::default()
    };
    let failure = call(TASK_FAILURE, &failure);
    let proto = failure.proto.clone();
    let converter = DataConverter::default();
    let (sent, ended) = definitions.complete(failure, &converter).await;
    assert_eq!(sent.proto, proto);
    assert_eq!(ended.as_deref(), Some(&b"a"[..]));
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_long_for_its_names() {
    let definitions = definitions();
    definitions.note(&task(b"a", METADATA));
    let converter = DataConverter::new(
        PayloadConverter::default(),
        DefaultFailureConverter::default(),
        Hanging,
    );
    let started = Instant::now();
    let (sent, _) = sent(&definitions, b"a", "{}", &converter).await;
    assert_eq!(sent, "{}");
    assert_eq!(started.elapsed().as_secs(), NAMING_TIME.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_lost_is_forgotten_after_a_minute() {
    let definitions = definitions();
    definitions.note(&task(b"a", METADATA));
    tokio::time::advance(REQUEST_TIME / 2).await;
    definitions.note(&task(b"b", METADATA));
    tokio::time::advance(REQUEST_TIME / 2).await;
    assert_eq!(answered(&definitions, b"a", "{}").await, "{}");
    assert_eq!(definitions.requests.lock().len(), 1);
    tokio::time::advance(REQUEST_TIME).await;
    assert!(!definitions.awaits_answers());
}

#[tokio::test]
async fn the_names_are_added_once_and_details_stay() {
    let definitions = definitions();
    definitions.note(&task(b"a", METADATA));
    definitions.note(&task(b"b", "state"));
    let details = r#"{"currentDetails":"half way"}"#;
    assert_eq!(answered(&definitions, b"b", details).await, details);
    let named: Value = serde_json::from_str(&answered(&definitions, b"a", details).await).unwrap();
    assert_eq!(named["currentDetails"], "half way");
    let queries = &named["definition"]["queryDefinitions"];
    assert_eq!(*queries, json!([{ "name": "state" }]));
    assert_eq!(answered(&definitions, b"a", details).await, details);
}

#[tokio::test]
async fn an_answer_of_another_form_stays_as_it_is() {
    let definitions = definitions();
    for odd in ["", "[]", "7", r#"{"definition":{}}"#] {
        definitions.note(&task(b"a", METADATA));
        assert_eq!(answered(&definitions, b"a", odd).await, odd);
    }
}

#[tokio::test]
async fn a_query_that_came_with_a_workflow_task_gets_the_names_too() {
    let definitions = definitions();
    let mut asking = task(b"a", METADATA);
    asking.query = None;
    let asked = [("1", query(METADATA)), ("2", query("state"))];
    asking.queries = asked.map(|(id, query)| (id.to_owned(), query)).into();
    definitions.note(&asking);
    let answer = WorkflowQueryResult {
        answer: Some(result("{}")),
        ..WorkflowQueryResult::default()
    };
    let done = RespondWorkflowTaskCompletedRequest {
        task_token: b"a".to_vec(),
        query_results: ["1", "2"].map(|id| (id.to_owned(), answer.clone())).into(),
        ..RespondWorkflowTaskCompletedRequest::default()
    };
    let converter = DataConverter::default();
    let call = call(TASK_ANSWER, &done);
    let (sent, ended) = definitions.complete(call, &converter).await;
    assert_eq!(ended.as_deref(), Some(&b"a"[..]));
    let sent = RespondWorkflowTaskCompletedRequest::decode(sent.proto).unwrap();
    let answer = |id: &str| text(sent.query_results[id].answer.as_ref().unwrap());
    assert!(answer("1").contains("queryDefinitions"), "{}", answer("1"));
    assert_eq!(answer("2"), "{}");
}

#[test]
fn tasks_that_are_never_answered_are_forgotten() {
    let definitions = definitions();
    for number in 0..=MAX_REQUESTS {
        definitions.note(&task(&number.to_be_bytes(), METADATA));
    }
    assert_eq!(definitions.requests.lock().len(), MAX_REQUESTS);
    assert!(definitions.request(&0_usize.to_be_bytes()).is_none());
}
