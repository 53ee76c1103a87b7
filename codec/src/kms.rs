//! Key-encryption keys: a [`Kms`] opens the key that any [`KeyUri`](crate::KeyUri) names, at the service that it names.
//!
//! A service is a [`KeyService`]: those of this build are in one list, and a program adds its own with
//! [`KmsBuilder::with_service`]. The example `own_key_service` shows one.

mod builder;
mod built_in;
#[cfg(feature = "local")]
mod local_keyring;
mod named;
mod value;

pub use builder::KmsBuilder;
#[allow(
    unreachable_pub,
    unused_imports,
    reason = "a build may have no service"
)]
pub use built_in::*;
#[doc(no_inline)]
pub use temporal_kms::{
    Advice, AnyFolder, CallLayer, CallObserver, CallPolicy, CredentialsFound, Diagnose, EndedCall,
    Endpoint, FailureCause, KeyAdmin, KeyDetails, KeyGrant, KeyGrants, KeyInOtherPlace, KeyLimits,
    KeyOrigin, KeyProvider, KeyPurpose, KeyRole, KeyService, KeySetup, KeySpec, KeyState,
    KeyVersion, KmsMetrics, LatencyBucket, MeasuredCall, MetricsSink, NoteKept, Operation,
    OperationMetrics, Outcome, PlannedGrant, Prices, Protection, ProviderError, ProviderErrorKind,
    PublicKey, PublicKeyError, RotationPolicy, ServiceError, Setting, SettingKind, SettingRow,
    SettingTable, SettingValue, SetupPlan, Signature, SignatureAlgorithm, SignatureVerifier,
    Signer, UsableKey, Variables, VersionUsed, Web,
};
pub use value::Kms;
