//! What several commands need: how they end, where they write, how they run, and how they reach keys.

pub(crate) mod default_key;
pub(crate) mod exit;
pub(crate) mod kms_args;
pub(crate) mod output;
pub(crate) mod runtime;
