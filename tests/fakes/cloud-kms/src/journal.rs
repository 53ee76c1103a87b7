use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

const MAX_CALLS: usize = 1000;

/// One call that the emulator received, without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The method. Empty for a path that the service does not have.
    pub rpc: String,
    /// The path, without the query.
    pub path: String,
    /// The answer's status; 0 where the connection was closed without an answer.
    pub status: u16,
    /// The scheme of its `Authorization` header, such as `Bearer`.
    pub authorization: Option<String>,
    /// The token in this header, which shows whose credentials were used. Nobody checks it.
    pub token: Option<String>,
    /// Its header `traceparent`: the trace that it belongs to.
    pub traceparent: Option<String>,
}

/// The last calls, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Journal(VecDeque<Call>);

impl Journal {
    pub(crate) fn record(&mut self, call: Call) {
        if self.0.len() == MAX_CALLS {
            self.0.pop_front();
        }
        self.0.push_back(call);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.0.iter().cloned().collect()
    }
}
