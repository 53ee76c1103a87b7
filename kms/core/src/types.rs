//! The types that providers and codecs exchange. They import only this crate's errors.

pub(crate) mod context;
pub(crate) mod dek;
pub(crate) mod key_uri;
pub(crate) mod namespace;
pub(crate) mod scheme;

pub(crate) use self::dek::MAX_WRAPPED_LEN;
