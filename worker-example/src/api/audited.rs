//! The audit log's line of each request.

use std::sync::Arc;

use axum::extract::Request;
use http::{Extensions, StatusCode};
use parking_lot::Mutex;
use temporal_kms_codec::audit::{Receipt, RequestEvent};
use temporal_kms_codec_service::{
    audit::{Ending, NotAudited, written},
    auth::{CallerId, Identity},
    connection::ConnectionInfo,
    request_id::RequestId,
};

use super::app::App;
use crate::task::TaskId;

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
    app: Arc<App>,
    id: RequestId,
    operation: Option<&'static str>,
    client: Option<ConnectionInfo>,
    noted: Noted,
    is_written: bool,
}

impl Line {
    /// The line of this request, which is not written yet.
    pub(super) fn of(
        app: &Arc<App>,
        id: RequestId,
        operation: Option<&'static str>,
        request: &Request,
    ) -> Self {
        Self {
            app: Arc::clone(app),
            id,
            operation,
            client: request.extensions().get().cloned(),
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
        let receipt = self.enter(Ending::answered(status), error);
        written(receipt).await
    }

    fn enter(&self, ending: Ending, error: Option<&str>) -> Option<Receipt> {
        if !self.app.audit.is_kept() {
            return None;
        }
        let id = self.id.to_string();
        let client = self.client.as_ref();
        let client = client.map(|client| client.peer().to_string());
        let facts = self.noted.0.lock();
        let caller = facts.caller.as_ref();
        let mut event = RequestEvent::default();
        event.request = &id;
        event.subject = caller.map(Identity::subject);
        event.issuer = caller.and_then(Identity::issuer);
        event.client = client.as_deref();
        event.operation = self.operation;
        event.namespace = Some(self.app.namespace.as_str());
        event.task = facts.task.as_ref().map(TaskId::as_str);
        event.bytes = facts.bytes;
        event.error = error;
        self.app.audit.enter(event, facts.is_allowed, ending)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A runtime that ends drops requests, too.
        let can_write = tokio::runtime::Handle::try_current().is_ok();
        if !self.is_written && self.operation.is_some() && can_write {
            drop(self.enter(Ending::GIVEN_UP, None));
        }
    }
}
