//! Data keys: what they are, how long they live, and how each is wrapped and unwrapped only once.

mod active;
mod budget;
mod cache;
mod cache_key;
mod data_keys;
mod decryption_keys;
mod encrypting_keys;
mod expanded_dek;
mod failure;
mod limits;
mod maker;
mod refusals;
mod rest;
mod single_flight;

pub use self::limits::{CacheLimits, DekLimits};
pub(crate) use self::{
    active::{ActiveDek, ActiveKey},
    budget::Budget,
    data_keys::{DataKeySettings, OpeningKeys, SealingKeys},
    decryption_keys::{DecryptionKeys, FirstChoice},
    expanded_dek::ExpandedDek,
    rest::Rest,
};
