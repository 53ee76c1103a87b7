//! The activities of a task: one for each step.
//!
//! A worker process polls three task queues. From the common one it takes tasks to prepare, as many as it has places. The
//! steps after that come through a queue that only this process polls, because the workspace is on this machine and the
//! secrets are in this process. What any worker can do is done through a queue for deliveries, so that it does not wait for a
//! place.

mod delivery;
mod held;
mod host;
mod prepare;

pub(super) use delivery::{Delivery, DeliveryActivities};
pub(super) use held::HeldTasks;
pub(super) use host::HostActivities;
pub(super) use prepare::PrepareActivities;

/// The task queue for deliveries of the workers of a task queue.
pub(super) fn delivery_queue(task_queue: &str) -> String {
    format!("{task_queue}@deliveries")
}

/// The task queue of this worker process alone.
pub(super) fn own_queue(task_queue: &str, identity: &str) -> String {
    format!("{task_queue}@{identity}")
}
