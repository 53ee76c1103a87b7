//! What is computed with keys, without any format or I/O.

pub(crate) mod bounded;
pub(crate) mod compressing;
pub(crate) mod compression;
pub(crate) mod decompression;
mod hkdf;
pub(crate) mod key_schedule;
pub(crate) mod message_ids;

pub(crate) use temporal_kms::support::{aead, random};
