//! What several commands need: how they end, where they write, and how they reach keys.

pub(crate) mod exit;
pub(crate) mod kms_args;
pub(crate) mod output;
