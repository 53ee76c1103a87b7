//! Key-encryption keys: the [`KeyProvider`] trait, the providers behind it, and [`open`] for any [`KeyUri`](crate::KeyUri).

mod error;
pub mod local;
mod open;
mod provider;

pub use error::{ProviderError, ProviderErrorKind};
pub use open::{KmsOptions, open};
pub use provider::{KeyDescription, KeyProvider, Protection};
