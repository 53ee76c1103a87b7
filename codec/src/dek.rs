//! Data keys: what they are, how long they live, and how each is wrapped and unwrapped only once.

mod budget;
mod cache;
mod coalesce;
mod key;
mod keyholder;
mod limits;
mod live;
mod maker;
mod refusals;
mod rest;

pub(crate) use budget::Budget;
pub(crate) use cache::{CacheKey, DekCache};
pub(crate) use key::{DataKey, MAX_WRAPPED_LEN};
pub use key::{Dek, WrappedDek};
pub(crate) use keyholder::Keyholder;
pub use limits::{CacheLimits, DekLimits};
pub(crate) use live::{LiveDek, SealingKey};
pub(crate) use maker::DekMaker;
pub(crate) use rest::Rest;
