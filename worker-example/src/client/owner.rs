//! Who has submitted a task, in the workflow's memo. The codec encrypts it.

use serde::{Deserialize, Serialize};

/// The name of the memo. Temporal stores it unencrypted.
pub(super) const MEMO: &str = "owner";

/// Who has submitted a task, and with which request. It names its task, so that a copy in the memo of another task is
/// refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Owner {
    task_id: String,
    /// `None` where the API authenticates nobody.
    caller: Option<String>,
    /// The digest of the request.
    request: String,
    /// Whether the task goes on when nobody follows it.
    #[serde(default)]
    is_in_background: bool,
}

impl Owner {
    pub(crate) fn new(task: &crate::task::TaskId, caller: Option<String>, request: String) -> Self {
        Self {
            task_id: task.to_string(),
            caller,
            request,
            is_in_background: false,
        }
    }

    /// The owner of a task that goes on when nobody follows it.
    #[must_use]
    pub(crate) fn in_background(mut self, is_in_background: bool) -> Self {
        self.is_in_background = is_in_background;
        self
    }

    /// Whether the task goes on when nobody follows it. Tasks of earlier versions do not say it.
    pub(crate) fn is_in_background(&self) -> bool {
        self.is_in_background
    }

    /// Whether both have sent the same request for the same task.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.task_id, &self.caller, &self.request)
            == (&other.task_id, &other.caller, &other.request)
    }

    /// The caller's name.
    pub(crate) fn caller(&self) -> Option<&str> {
        self.caller.as_deref()
    }

    pub(super) fn is_of(&self, task: &str) -> bool {
        self.task_id == task
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_same_in_the_background() {
        let owner = |caller: &str, request: &str| {
            Owner::new(
                &"t".parse().unwrap(),
                Some(caller.to_owned()),
                request.to_owned(),
            )
        };
        let streamed = owner("ann", "a");
        let background = owner("ann", "a").in_background(true);
        assert!(streamed.is_same(&background) && background.is_in_background());
        assert!(!streamed.is_same(&owner("bob", "a")) && !streamed.is_same(&owner("ann", "b")));
        // The memo of an earlier version.
        let earlier = r#"{"taskId":"t","caller":"ann","request":"a"}"#;
        let earlier: Owner = serde_json::from_str(earlier).unwrap();
        assert!(earlier.is_same(&background) && !earlier.is_in_background());
    }
}
