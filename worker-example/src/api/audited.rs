//! The audit log's line of each request.

use std::sync::Arc;

use axum::extract::Request;
use http::{Extensions, StatusCode};
use parking_lot::Mutex;
use temporal_kms_codec::audit::{Decision, Receipt, RequestEvent};
use temporal_kms_codec_service::{
    audit::{NotAudited, RequestLog, result_of, written},
    auth::{CallerId, Identity},
    connection::ConnectionInfo,
    request_id::RequestId,
};

use super::app::App;
use crate::task::TaskId;

/// What some proxies log as "client closed request". It is never sent.
const GIVEN_UP: u16 = 499;

/// What becomes known of a request while it is worked on. The request has it in its extensions.
#[derive(Clone, Default)]
pub(super) struct Noted(Arc<Mutex<Facts>>);

#[derive(Default)]
struct Facts {
    caller: Option<Identity>,
    is_allowed: bool,
    task: Option<TaskId>,
    bytes: usize,
}

impl Noted {
    /// What is noted of a request.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Notes who calls. Where the server authenticates nobody, nobody is known.
    pub(super) fn caller(&self, identity: &Identity) {
        if CallerId::of(identity).is_some() {
            self.0.lock().caller = Some(identity.clone());
        }
    }

    /// Notes that the caller may do this.
    pub(super) fn allowed(&self) {
        self.0.lock().is_allowed = true;
    }

    /// Notes the task that it is about.
    pub(super) fn task(&self, task: &TaskId) {
        self.0.lock().task = Some(task.clone());
    }

    /// Notes how long the body is.
    pub(super) fn bytes(&self, bytes: usize) {
        self.0.lock().bytes = bytes;
    }
}

/// The line of a request. A request that is dropped before its answer was given up: its client is gone, or the service stops.
pub(super) struct Line {
    log: RequestLog,
    id: String,
    namespace: String,
    operation: Option<&'static str>,
    client: Option<String>,
    noted: Noted,
    is_written: bool,
}

impl Line {
    /// The line of this request, which is not written yet.
    pub(super) fn of(
        app: &App,
        id: RequestId,
        operation: Option<&'static str>,
        request: &Request,
    ) -> Self {
        let client = request.extensions().get::<ConnectionInfo>();
        Self {
            log: app.audit.clone(),
            id: id.to_string(),
            namespace: app.namespace.as_str().to_owned(),
            operation,
            client: client.map(|client| client.peer().to_string()),
            noted: Noted::of(request.extensions()),
            is_written: false,
        }
    }

    /// Writes how the request was answered, and waits for it.
    ///
    /// # Errors
    /// When the line is not written: the answer must not be sent.
    pub(super) async fn answered(
        mut self,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<(), NotAudited> {
        self.is_written = true;
        let is_refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
        // Other requests ask for nothing of this service.
        if self.operation.is_none() && !is_refused {
            return Ok(());
        }
        let receipt = self.enter(status.as_u16(), result_of(status), is_refused, error);
        written(receipt).await
    }

    fn enter(
        &self,
        status: u16,
        result: &'static str,
        is_refused: bool,
        error: Option<&str>,
    ) -> Option<Receipt> {
        let facts = self.noted.0.lock();
        let caller = facts.caller.as_ref();
        let mut event = RequestEvent::default();
        event.request = &self.id;
        event.subject = caller.map(Identity::subject);
        event.issuer = caller.and_then(Identity::issuer);
        event.client = self.client.as_deref();
        event.operation = self.operation;
        event.namespace = Some(&self.namespace);
        event.task = facts.task.as_ref().map(TaskId::as_str);
        event.bytes = facts.bytes;
        event.decision = if facts.is_allowed && !is_refused {
            Decision::Allowed
        } else {
            Decision::Refused
        };
        event.result = result;
        event.error = error;
        event.status = status;
        self.log.enter(&event, result)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A runtime that ends drops requests, too.
        let can_write = tokio::runtime::Handle::try_current().is_ok();
        if !self.is_written && self.operation.is_some() && can_write {
            drop(self.enter(GIVEN_UP, "given_up", false, None));
        }
    }
}
