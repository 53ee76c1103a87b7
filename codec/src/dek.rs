//! Data keys: what they are, how long they live, and how each is wrapped and unwrapped only once.

mod budget;
mod cache;
mod coalesce;
mod data_key;
mod encrypting_keys;
mod keyholder;
mod limits;
mod live;
mod maker;
mod refusals;
mod rest;

pub(crate) use budget::Budget;
pub(crate) use cache::{CacheKey, DekCache};
pub(crate) use data_key::DataKey;
pub(crate) use encrypting_keys::EncryptingKeys;
pub(crate) use keyholder::Keyholder;
pub use limits::{CacheLimits, DekLimits};
pub(crate) use live::{LiveDek, SealingKey};
pub(crate) use maker::DekMaker;
pub(crate) use rest::Rest;
