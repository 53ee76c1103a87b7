//! Key-encryption keys: the [`KeyProvider`] trait, the providers behind it, and [`open`] for any [`KeyUri`](crate::KeyUri).

mod admin;
#[cfg(feature = "aws-kms")]
pub mod aws;
mod clients;
mod decorate;
mod error;
#[cfg(feature = "gcp-kms")]
mod gcp;
pub mod local;
mod open;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
mod provider;
mod public_key;
mod service_error;
mod signer;

pub use admin::{
    KeyAdmin, KeyDetails, KeyPurpose, KeyRole, KeySpec, KeyState, KeyVersion, RotationPolicy,
};
pub use clients::KmsClients;
pub use decorate::{CallPolicy, KmsMetrics, Operation, OperationMetrics};
pub use error::{Cause, ProviderError, ProviderErrorKind};
pub use open::{KmsOptions, open, open_admin, open_signer};
pub use provider::{KeyDescription, KeyProvider, Protection};
pub use public_key::{PublicKey, PublicKeyError};
pub use service_error::ServiceError;
pub use signer::{Signature, SignatureAlgorithm, Signer};
