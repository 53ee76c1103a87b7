//! What several commands need: how they end, where they write, and how they reach keys.

pub(crate) mod audit_log;
pub(crate) mod codec_args;
pub(crate) mod exit;
pub(crate) mod kms_args;
pub(crate) mod missing_key;
pub(crate) mod output;
pub(crate) mod payload_file;
pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod wanted;
