//! A connection of `POST /run` that follows a task, as signals tell the workflow of it.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use temporalio_common::{
    data_converters::{
        ErasedSerdePayloadConverter, PayloadConversionError, SerializationContext,
        TemporalDeserializable,
    },
    protos::temporal::api::common::v1::Payload,
};

use super::{any_payload, id::TaskId};

/// The most connections that a workflow keeps.
const MOST: usize = 1000;
/// The longest id of a connection, in bytes.
const LONGEST_ID: usize = 64;

/// One connection that follows a task. It names its task, so that a copy in another task has no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Follower {
    task_id: String,
    id: String,
    /// Whether the request of this connection has started the task.
    is_starter: bool,
}

impl Follower {
    /// A connection with a random id.
    pub(crate) fn new(task: &TaskId, is_starter: bool) -> Self {
        Self {
            task_id: task.to_string(),
            id: uuid::Uuid::new_v4().as_simple().to_string(),
            is_starter,
        }
    }

    /// A request of the background that has found the task. It never leaves, so the task goes on without connections.
    pub(crate) fn in_background(task: &TaskId) -> Self {
        Self {
            task_id: task.to_string(),
            // Requests that are sent again count once.
            id: "background".to_owned(),
            is_starter: false,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn is_of(&self, task: &str) -> bool {
        self.task_id == task && self.id.len() <= LONGEST_ID
    }

    fn read(value: &Value) -> Self {
        let text = |field: &str| value.get(field).and_then(Value::as_str);
        Self {
            task_id: text("taskId").unwrap_or_default().to_owned(),
            id: text("id").unwrap_or_default().to_owned(),
            is_starter: value.get("isStarter") == Some(&Value::Bool(true)),
        }
    }
}

/// A payload that is not a follower names no task.
impl TemporalDeserializable for Follower {
    fn from_serde(
        converter: &dyn ErasedSerdePayloadConverter,
        context: &SerializationContext<'_>,
        payload: Payload,
    ) -> Result<Self, PayloadConversionError> {
        Ok(Self::read(&any_payload::value(converter, context, payload)))
    }

    fn from_payloads(
        _: &SerializationContext<'_>,
        payloads: Vec<Payload>,
    ) -> Result<Self, PayloadConversionError> {
        any_payload::default_unless_single(&payloads)
    }
}

/// The connections that follow a task, at all processes of the API. The connection that started the task follows from the
/// beginning, so it only tells when it leaves.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    others: BTreeSet<String>,
    /// Connections that have left before the signal that they follow arrived.
    left_early: BTreeSet<String>,
    starter_has_left: bool,
    /// The set is full, so the workflow cannot tell which connection is the last.
    is_overfull: bool,
}

impl Followers {
    /// A connection begins to follow.
    pub(crate) fn join(&mut self, follower: Follower) {
        if self.left_early.remove(&follower.id) {
            return;
        }
        if self.others.len() < MOST {
            self.others.insert(follower.id);
        } else {
            self.is_overfull = true;
        }
    }

    /// A connection was lost. Returns whether the task has lost its last one. A task that was started in the background has no
    /// starter, and does not depend on connections.
    ///
    /// Both signals of a connection are sent by calls of their own, so this one can come first.
    pub(crate) fn leave(&mut self, follower: &Follower) -> bool {
        if follower.is_starter {
            self.starter_has_left = true;
        } else if !self.others.remove(&follower.id) {
            if self.left_early.len() < MOST {
                self.left_early.insert(follower.id.clone());
            } else {
                self.is_overfull = true;
            }
            return false;
        }
        self.starter_has_left && self.others.is_empty() && !self.is_overfull
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follower(is_starter: bool) -> Follower {
        Follower::new(&"t".parse().unwrap(), is_starter)
    }

    #[test]
    fn the_last_connection_of_a_task_decides() {
        let (starter, retry) = (follower(true), follower(false));
        let mut alone = Followers::default();
        assert!(alone.leave(&starter));

        // The retry comes before the lost connection is noticed.
        let mut followers = Followers::default();
        followers.join(retry.clone());
        assert!(!followers.leave(&starter));
        assert!(followers.leave(&retry));
        // A signal can arrive twice.
        assert!(!followers.leave(&retry));

        let mut followers = Followers::default();
        followers.join(retry.clone());
        assert!(!followers.leave(&retry));
        assert!(followers.leave(&starter));
    }

    #[test]
    fn a_connection_that_left_before_it_joined_does_not_follow() {
        let (starter, retry) = (follower(true), follower(false));
        let mut followers = Followers::default();
        assert!(!followers.leave(&retry));
        followers.join(retry);
        assert!(followers.leave(&starter));
    }

    #[test]
    fn very_many_that_left_early_are_not_counted() {
        let mut followers = Followers::default();
        for _ in 0..=MOST {
            assert!(!followers.leave(&follower(false)));
        }
        assert!(!followers.leave(&follower(true)));
    }

    #[test]
    fn a_task_of_the_background_depends_on_no_connection() {
        let other = follower(false);
        let mut followers = Followers::default();
        followers.join(other.clone());
        assert!(!followers.leave(&other));
    }

    #[test]
    fn a_request_of_the_background_keeps_the_task_of_connections() {
        let (starter, retry) = (follower(true), follower(false));
        let mut followers = Followers::default();
        followers.join(Follower::in_background(&"t".parse().unwrap()));
        followers.join(retry.clone());
        assert!(!followers.leave(&starter) && !followers.leave(&retry));
    }

    #[test]
    fn a_follower_is_read_as_it_was_written() {
        for is_starter in [true, false] {
            let follower = follower(is_starter);
            let written = serde_json::to_value(&follower).unwrap();
            assert_eq!(Follower::read(&written), follower);
            assert!(follower.is_of("t") && !follower.is_of("other"));
        }
        for value in [
            Value::Null,
            serde_json::json!({"taskId": 1, "id": []}),
            serde_json::json!({"taskId": "t", "id": "x".repeat(65)}),
        ] {
            assert!(!Follower::read(&value).is_of("t"), "{value}");
        }
    }

    #[test]
    fn very_many_connections_are_not_counted() {
        let mut followers = Followers::default();
        let all: Vec<_> = (0..=MOST).map(|_| follower(false)).collect();
        for one in &all {
            followers.join(one.clone());
        }
        for one in all.iter().chain([&follower(true)]) {
            assert!(!followers.leave(one));
        }
    }
}
