//! What is computed with keys, without any format or I/O.

pub(crate) mod compression;
pub(crate) mod key_schedule;

pub(crate) use temporal_kms::support::{aead, random};
