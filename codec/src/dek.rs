//! Data keys: what they are, how long they live, and how each is wrapped and unwrapped only once.

mod cache;
mod coalesce;
mod key;
mod keyholder;
mod limits;
mod live;

pub(crate) use cache::{CacheKey, DekCache};
pub(crate) use key::{DataKey, MAX_WRAPPED_LEN};
pub use key::{Dek, WrappedDek};
pub use limits::{CacheLimits, DekLimits};
pub(crate) use keyholder::{Keyholder, refusal};
pub(crate) use live::{LiveDek, SealingKey};
