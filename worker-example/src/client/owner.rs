//! Who has submitted a task, in the workflow's memo. The codec encrypts it.

use serde::{Deserialize, Serialize};

/// The name of the memo. Temporal stores it unencrypted.
pub(super) const MEMO: &str = "owner";

/// Who has submitted a task, and with which request. It names its task, so that a copy in the memo of another task is
/// refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Owner {
    task_id: String,
    /// `None` where the API authenticates nobody.
    caller: Option<String>,
    /// The digest of the request.
    request: String,
}

impl Owner {
    pub(crate) fn new(task: &crate::task::TaskId, caller: Option<String>, request: String) -> Self {
        Self {
            task_id: task.to_string(),
            caller,
            request,
        }
    }

    /// The caller's name.
    pub(crate) fn caller(&self) -> Option<&str> {
        self.caller.as_deref()
    }

    pub(super) fn is_of(&self, task: &str) -> bool {
        self.task_id == task
    }
}
