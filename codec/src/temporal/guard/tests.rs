//! The limits of a check. A server that is only a callback sends histories that a real one does not send.

use std::sync::atomic::{AtomicUsize, Ordering};

use temporalio_common::protos::temporal::api::{
    common::v1::Payloads,
    history::v1::{HistoryEvent, WorkflowExecutionSignaledEventAttributes},
    workflowservice::v1::{GetSystemInfoResponse, GetWorkflowExecutionHistoryResponse},
};

use super::{
    history::{MAX_BYTES, MAX_PAGES},
    *,
};

/// A server whose histories never end. It counts the pages that it sends, and answers nothing after `last`.
struct Endless {
    event_bytes: usize,
    last: usize,
    pages: AtomicUsize,
}

impl Endless {
    fn new(event_bytes: usize, last: usize) -> Arc<Self> {
        Arc::new(Self {
            event_bytes,
            last,
            pages: AtomicUsize::new(0),
        })
    }

    async fn answer(&self, request: GrpcRequest) -> Result<GrpcSuccessResponse, Status> {
        let proto = match request.rpc.as_str() {
            "GetSystemInfo" => GetSystemInfoResponse::default().encode_to_vec(),
            "GetWorkflowExecutionHistory" => {
                if self.pages.fetch_add(1, Ordering::SeqCst) == self.last {
                    std::future::pending::<()>().await;
                }
                self.page().encode_to_vec()
            }
            other => return Err(Status::unimplemented(other)),
        };
        Ok(GrpcSuccessResponse {
            headers: request.headers,
            proto,
        })
    }

    fn page(&self) -> GetWorkflowExecutionHistoryResponse {
        let payload = Payload {
            data: vec![b'x'; self.event_bytes],
            ..Payload::default()
        };
        let signaled = WorkflowExecutionSignaledEventAttributes {
            input: Some(Payloads {
                payloads: vec![payload],
            }),
            ..WorkflowExecutionSignaledEventAttributes::default()
        };
        let event = HistoryEvent {
            attributes: Some(Attributes::WorkflowExecutionSignaledEventAttributes(
                signaled,
            )),
            ..HistoryEvent::default()
        };
        GetWorkflowExecutionHistoryResponse {
            history: Some(History {
                events: vec![event],
            }),
            next_page_token: b"more".to_vec(),
            ..GetWorkflowExecutionHistoryResponse::default()
        }
    }

    async fn guarding(self: &Arc<Self>) -> Guarding {
        let server = Arc::clone(self);
        let callback = move |request| {
            let server = Arc::clone(&server);
            Box::pin(async move { server.answer(request).await }) as _
        };
        let options = ConnectionOptions::new(Url::parse(UNUSED_ADDRESS).unwrap())
            .dns_load_balancing(None)
            .service_override(CallbackBasedGrpcService {
                callback: Arc::new(callback),
            })
            .build();
        Guarding {
            inputs: BTreeMap::new(),
            definitions: Definitions::default(),
            connection: Connection::connect(options).await.unwrap(),
            namespace: "default".to_owned(),
            converter: DataConverter::default(),
        }
    }

    fn pages(&self) -> usize {
        self.pages.load(Ordering::SeqCst)
    }
}

async fn refused(server: &Arc<Endless>) -> String {
    let query = PollWorkflowTaskQueueResponse::default();
    let guarding = server.guarding().await;
    guarding.check_in_time(&query).await.unwrap_err()
}

#[tokio::test]
async fn a_history_of_many_pages_is_not_read_to_its_end() {
    let server = Endless::new(10, usize::MAX);
    let reason = refused(&server).await;
    assert!(reason.contains("more than 32 pages"), "{reason}");
    assert_eq!(server.pages(), MAX_PAGES);
}

#[tokio::test]
async fn a_history_of_many_bytes_is_not_read_to_its_end() {
    let size = 3 << 20;
    let server = Endless::new(size, usize::MAX);
    let reason = refused(&server).await;
    assert!(reason.contains("or 16 MiB"), "{reason}");
    assert_eq!(server.pages(), MAX_BYTES / size + 1);
}

#[tokio::test(start_paused = true)]
async fn a_history_that_does_not_come_is_given_up() {
    let server = Endless::new(10, 3);
    let reason = refused(&server).await;
    assert!(reason.contains("within 10 s"), "{reason}");
    assert_eq!(server.pages(), 4);
}
