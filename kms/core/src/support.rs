//! Shared by this project's own crates. It is not part of the API: it may change with every version.

pub use crate::{
    bind_context::OneTimeKey,
    clock,
    crypto::{aead, random},
    environment::{is_plain_name, variable},
    quoting::{shell_command, shell_word, terraform_string},
    shown::shown,
    signature::TINK_PREFIX,
    types::{
        context::NAMESPACE,
        dek::MAX_WRAPPED_LEN,
        key_uri::{is_region, token::*},
    },
};
