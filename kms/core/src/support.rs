//! Code that this project's own crates share. It is not part of the API and may change with every version.

pub use crate::{
    bind_context::OneTimeKey,
    calls::used_version,
    clock,
    crypto::{
        aead,
        erase::{SecretVec, erase, erase_from, erase_vec},
        random,
    },
    environment::{absolute_path, is_plain_name, variable},
    memory_budget::{MemoryBudget, TakenMemory, footprint_of_maps},
    quoting::{shell_command, shell_path, shell_word, terraform_string},
    shown::shown,
    signature::TINK_PREFIX,
    types::{
        context::NAMESPACE,
        dek::MAX_WRAPPED_LEN,
        key_uri::{is_region, token::*},
    },
};
