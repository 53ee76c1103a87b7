//! The types that providers and codecs exchange. They import nothing else of this project.

pub(crate) mod configuration_error;
pub(crate) mod context;
pub(crate) mod dek;
pub(crate) mod key_uri;
pub(crate) mod namespace;
pub(crate) mod scheme;

pub(crate) use self::dek::MAX_WRAPPED_LEN;
