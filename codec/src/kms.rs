//! Key-encryption keys: the [`KeyProvider`] trait, the providers behind it, and [`open`] for any [`KeyUri`](crate::KeyUri).

mod clients;
mod open;

pub use clients::KmsClients;
pub use open::{KmsOptions, open, open_admin, open_signer};
#[doc(no_inline)]
pub use temporal_kms::{
    CallPolicy, Cause, KeyAdmin, KeyDescription, KeyDetails, KeyProvider, KeyPurpose, KeyRole,
    KeySpec, KeyState, KeyVersion, KmsMetrics, Operation, OperationMetrics, Protection,
    ProviderError, ProviderErrorKind, PublicKey, PublicKeyError, RotationPolicy, ServiceError,
    Signature, SignatureAlgorithm, Signer,
};
#[cfg(feature = "aws-kms")]
pub use temporal_kms_aws as aws;
#[cfg(feature = "gcp-kms")]
pub use temporal_kms_gcp as gcp;
pub use temporal_kms_local as local;
#[cfg(feature = "pkcs11")]
pub use temporal_kms_pkcs11 as pkcs11;
