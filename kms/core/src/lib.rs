//! What a key management service does for `temporal-kms-codec`: the types, the traits, the errors, and the policy
//! around every call. This crate reads no payloads, and calls no service. Of the services of this project it knows the schemes
//! of URIs and the forms of keys' names.
//!
//! - A [`KeyService`] has settings, a client and keys. Implement it for a service of your own.
//! - [`KeyProvider`] wraps and unwraps data keys.
//! - [`Signer`] signs, and [`SignatureVerifier`] verifies many signatures. [`KeyAdmin`] creates and manages keys.
//! - [`KeyUri`], [`Dek`], [`WrappedDek`], [`EncryptionContext`] and [`Namespace`] are what they exchange.
//! - A [`ProviderError`] says what happened, to which key, and whether another attempt can help. It never shows what the
//!   service answered.
//! - A [`CallPolicy`] governs the calls of a key: deadline, retries, limits, circuit breaker, metrics and spans. A
//!   [`CallObserver`] is told of each of them.
//!
//! # Features
//!
//! - `aws-lc-rs` (default): AES-256-GCM and randomness by AWS-LC. `aes-gcm`: in pure Rust, used when `aws-lc-rs` is off.
//! - `test-util`: [`faulty::FaultyKey`], a key for tests, and a clock that tests move by hand.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod admin;
mod any_folder;
mod bind_context;
mod calls;
#[doc(hidden)]
pub mod clock;
#[doc(hidden)]
pub mod crypto;
mod diagnose;
pub mod endpoint;
mod environment;
mod error;
#[cfg(any(test, feature = "test-util"))]
pub mod faulty;
mod grants;
mod key_origin;
mod key_service;
mod key_setup;
mod memory_budget;
mod provider;
mod public_key;
mod quoting;
mod service_error;
mod setting;
mod setup_plan;
mod shown;
mod signature;
mod signature_verifier;
mod signer;
#[doc(hidden)]
pub mod support;
mod text_form;
mod types;

pub use self::{
    admin::{KeyAdmin, KeyDetails, KeyPurpose, KeySpec, KeyState, KeyVersion, RotationPolicy},
    any_folder::AnyFolder,
    calls::{
        CallLayer, CallObserver, CallPolicy, EndedCall, KmsMetrics, LatencyBucket, MeasuredCall,
        MetricsSink, NoteKept, Operation, OperationMetrics, Outcome, VersionUsed, observe_admin,
    },
    diagnose::{Advice, CredentialsFound, Diagnose, Endpoint, KeyInOtherPlace, Prices, Web},
    error::{FailureCause, ProviderError, ProviderErrorKind},
    grants::{KeyGrant, KeyGrants, KeyRole},
    key_origin::KeyOrigin,
    key_service::KeyService,
    key_setup::KeySetup,
    provider::{KeyLimits, KeyProvider, Protection, UsableKey},
    public_key::{PublicKey, PublicKeyError},
    service_error::ServiceError,
    setting::{Setting, SettingKind, SettingRow, SettingTable, SettingValue, Variables},
    setup_plan::{PlannedGrant, SetupPlan},
    signature::{Signature, SignatureAlgorithm},
    signature_verifier::SignatureVerifier,
    signer::Signer,
    types::{
        configuration_error::ConfigurationError,
        context::{ContextError, EncryptionContext},
        dek::{Dek, WrappedDek},
        key_uri::KeyUri,
        namespace::Namespace,
        scheme::Scheme,
    },
};
