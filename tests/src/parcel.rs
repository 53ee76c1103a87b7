//! A workflow that uses everything in which Temporal carries payloads.
#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    clippy::needless_pass_by_value,
    reason = "the SDK's macros make the interface"
)]

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ApplicationFailure, ContinueAsNewOptions, SyncWorkflowContext,
    WorkflowContext, WorkflowContextView, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tokio::sync::watch;

/// What a parcel is sent with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Order {
    /// What nobody but the worker may read.
    pub content: String,
    /// How many times the workflow continues as new.
    pub rounds: u32,
    /// Whether delivery fails.
    pub fails: bool,
}

/// The activities; they wait at the gate until a test opens it.
#[derive(Debug)]
pub struct Post {
    pub gate: watch::Receiver<bool>,
}

#[activities]
impl Post {
    /// Leaves a heartbeat and fails at first; the next attempt returns what the heartbeat held.
    #[activity]
    pub async fn stamp(
        self: Arc<Self>,
        ctx: ActivityContext,
        content: String,
    ) -> Result<String, ActivityError> {
        if let Some(noted) = ctx.heartbeat_details().deserialize::<String>()? {
            self.gate.clone().wait_for(|open| *open).await?;
            return Ok(format!("stamped, {noted}"));
        }
        ctx.record_heartbeat(format!("noted {content}")).await?;
        Err(ActivityError::application(
            ApplicationFailure::builder(format!("smeared {content}"))
                .details(format!("ink on {content}"))
                .next_retry_delay(Duration::from_millis(10))
                .build(),
        ))
    }
}

#[workflow]
#[derive(Default)]
pub struct Parcel {
    labels: Vec<String>,
    closed: bool,
}

#[workflow_methods]
impl Parcel {
    #[run]
    pub async fn run(ctx: &mut WorkflowContext<Self>, order: Order) -> WorkflowResult<String> {
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_mins(1)).build();
        let stamp = ctx
            .execute_activity(Post::stamp, order.content.clone(), options)
            .await?;
        if order.rounds > 0 {
            let next = Order {
                rounds: order.rounds - 1,
                ..order.clone()
            };
            ctx.continue_as_new(next, ContinueAsNewOptions::default())?;
        }
        ctx.wait_condition(|parcel| parcel.closed).await?;
        if order.fails {
            let failure = ApplicationFailure::builder(format!("lost {}", order.content))
                .details(format!("last seen {}", order.content))
                .non_retryable(true)
                .build();
            return Err(failure.into());
        }
        let labels = ctx.state(|parcel| parcel.labels.join(", "));
        Ok(format!("{stamp}; {labels}"))
    }

    #[signal]
    pub fn label(&mut self, _ctx: &mut SyncWorkflowContext<Self>, label: String) {
        self.labels.push(label);
    }

    #[signal]
    pub fn close(&mut self, _ctx: &mut SyncWorkflowContext<Self>) {
        self.closed = true;
    }

    #[query]
    pub fn labels(&self, _ctx: &WorkflowContextView, prefix: String) -> Vec<String> {
        self.labels
            .iter()
            .map(|label| prefix.clone() + label)
            .collect()
    }

    #[update]
    pub fn relabel(&mut self, _ctx: &mut SyncWorkflowContext<Self>, label: String) -> Vec<String> {
        std::mem::replace(&mut self.labels, vec![label])
    }
}
