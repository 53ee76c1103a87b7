//! Key-encryption keys: a [`Kms`] opens the key that any [`KeyUri`](crate::KeyUri) names, at the service that it names.
//!
//! A service is a [`KeyService`]: those of this build are in one list, and a program adds its own with
//! [`KmsBuilder::with_service`].

mod builder;
mod built_in;
mod unused;
mod value;

pub use builder::KmsBuilder;
#[doc(no_inline)]
pub use temporal_kms::{
    Advice, CallPolicy, Cause, CredentialsFound, Diagnose, Elsewhere, Endpoint, KeyAdmin,
    KeyDescription, KeyDetails, KeyProvider, KeyPurpose, KeyRole, KeyService, KeySpec, KeyState,
    KeyVersion, KmsMetrics, Operation, OperationMetrics, Prices, Protection, ProviderError,
    ProviderErrorKind, PublicKey, PublicKeyError, RotationPolicy, ServiceError, Setting,
    SettingKind, SettingRow, SettingTable, SettingValue, Signature, SignatureAlgorithm, Signer,
    Variables, Web,
};
#[cfg(feature = "aws-kms")]
pub use temporal_kms_aws as aws;
#[cfg(feature = "gcp-kms")]
pub use temporal_kms_gcp as gcp;
pub use temporal_kms_local as local;
#[cfg(feature = "pkcs11")]
pub use temporal_kms_pkcs11 as pkcs11;
pub use value::Kms;
