//! Webhooks: what the service tells a caller's server when a task ends, signed with a secret that both know.
//!
//! The body and the headers are those of the task API. The sender connects only to addresses that the operator permits, and
//! checks them after name resolution.

mod address;
mod approval;
mod body;
mod error;
mod resolver;
mod sender;
mod signature;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use address::{AddressPolicy, AllowedAddress};
pub(crate) use approval::Approved;
pub(crate) use body::{Body, Status, Summary};
pub(crate) use resolver::{HostError, Lookup, SystemLookup, looked_up, permitted_addresses};
pub(crate) use sender::Sender;
pub(crate) use signature::{
    CallbackSecrets, SECRET, SIGNATURE_HEADER, SecretError, TIMESTAMP_HEADER,
};
pub(crate) use verify::{VerifyError, verify};
