//! What is sealed outside of payloads: files and streams.

pub(crate) mod envelope;
pub(crate) mod stream;
