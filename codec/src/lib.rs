//! End-to-end encryption for [Temporal](https://temporal.io) with keys that live in a key management service.
//!
//! Temporal stores every workflow input, result and failure. With this crate's [`Codec`] it stores ciphertext only:
//! payloads are encrypted in the client and the worker before they leave the process, under data keys that a KMS wraps.
//!
//! # With the Temporal Rust SDK
//!
//! ```no_run
//! # #[cfg(feature = "sdk")]
//! # async fn example() -> Result<(), temporal_kms_codec::Error> {
//! use temporal_kms_codec::Codec;
//! use temporalio_common::data_converters::DataConverter;
//!
//! // TEMPORAL_CODEC_KEY=local://default TEMPORAL_CODEC_KEYRING=keys
//! let codec = Codec::from_env().await?;
//! let converter: DataConverter = codec.data_converter();
//! # drop(converter);
//! # Ok(())
//! # }
//! ```
//!
//! Pass it to the client: `ClientOptions::new("default").data_converter(converter).build()`.
//! A client and a worker with these options encrypt inputs, results, signals, queries, updates, memos,
//! heartbeats and failures. The SDK does not encode search attributes, `static_summary`, `static_details` and the
//! `header` that a workflow is started with; workflow ids and types are always in the clear.
//!
//! # By hand
//!
//! ```
//! # #[cfg(feature = "local")]
//! use temporal_kms_codec::{Codec, Namespace, Payload, kms::local::LocalKeyring};
//!
//! # #[cfg(not(feature = "local"))]
//! # fn main() {}
//! # #[cfg(feature = "local")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let keyring = LocalKeyring::open(folder.path());
//! let codec = Codec::builder(Namespace::new("default")?)
//!     .encrypt_with(keyring.key_or_create("2026")?)
//!     .decrypt_with(keyring.key_or_create("2025")?)
//!     .context("env", "production")
//!     .build()?;
//!
//! let payload = Payload { data: b"\"secret\"".to_vec(), ..Payload::default() };
//! let encrypted = codec.encode(vec![payload.clone()]).await?;
//! assert_eq!(encrypted[0].metadata["encoding"], b"binary/envelope-kms");
//! assert_eq!(codec.decode(encrypted).await?, [payload]);
//! assert_eq!(codec.stats().wraps, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What is refused
//!
//! A codec decodes only what its builder names, and checks that before it calls a KMS:
//!
//! - its namespace, and those of [`accept_namespace`](CodecBuilder::accept_namespace);
//! - its keys: those of [`encrypt_with`](CodecBuilder::encrypt_with) and [`decrypt_with`](CodecBuilder::decrypt_with);
//! - its formats: the one that it writes and [`Format::Envelope`], or those of
//!   [`decrypt_formats`](CodecBuilder::decrypt_formats), which may be formats of other codecs too;
//! - the pairs of [`require_context`](CodecBuilder::require_context).
//!
//! Payloads that are not encrypted are refused too. [`PlaintextPolicy::Allow`] is for the time of a migration.
//!
//! # Where to find things
//!
//! - [`Codec`] encodes and decodes; its builder holds the policy: which keys, which namespaces, which formats.
//! - [`CodecSettings`] reads the environment, and gives a builder or a codec.
//! - [`kms`] has the [`KeyProvider`](kms::KeyProvider) trait and the services behind it. A provider wraps data keys. It
//!   sees payloads in direct mode only.
//! - [`Dek`] is a data key. One seals for its codec until a limit of [`DekLimits`]; the KMS is called once for each, not
//!   once for each payload.
//! - An [`Error`] tells whose fault it is: the payload's, the provider's or the configuration's.
//!
//! # Features
//!
//! - `aws-lc-rs` (default): AES-256-GCM by AWS-LC. `aes-gcm`: in pure Rust, used when `aws-lc-rs` is off.
//! - `zstd` (default): compression before encryption. It is off until it is configured.
//! - `decompression` (default): reading payloads that other codecs compressed with zlib, gzip or snappy.
//! - `audit`: the module `audit`, a verifiable log of every call of a key and of every change of a key.
//! - `local` (default): keys in a folder of this machine, for development.
//! - `gcp-kms`: keys at Google Cloud KMS. `aws-kms`: keys at AWS KMS. `pkcs11`: keys in PKCS#11 tokens.
//! - `sdk`: `PayloadCodec` for the Temporal Rust SDK, and [`WorkerGuard`], which every worker needs: without it one query
//!   on a workflow whose key is gone ends the worker's process.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

/// A verifiable log of what was done with keys and payloads.
#[cfg(feature = "audit")]
pub use temporal_kms_audit as audit;

mod codec;
mod crypto;
mod dek;
mod error;
mod format;
mod inspection;
pub mod kms;
pub mod payload;
mod sealed;
mod static_keys;
mod stats;
#[cfg(feature = "sdk")]
mod temporal;
mod types;

pub use codec::{
    Codec,
    builder::CodecBuilder,
    decode::Decoder,
    env::CodecSettings,
    known::{KnownKeys, Undecoded},
    policy::{PlaintextPolicy, RequiredContext},
    turns::CompressionTurns,
};
pub use crypto::compression::Compression;
pub use dek::{CacheLimits, DekLimits};
pub use error::{Error, PayloadError};
pub use inspection::{InspectedKey, Inspection};
pub use payload::{Payload, PayloadExt, Payloads, SharedPayload};
pub use sealed::{DataEnvelope, SealedFileError, Sealer, SealerBuilder};
pub use static_keys::{StaticKeySource, StaticKeys};
pub use stats::{DataKeyState, Stats};
#[cfg(feature = "sdk")]
pub use temporal::WorkerGuard;
pub use temporal_kms::{
    ConfigurationError, ContextError, Dek, EncryptionContext, KeyUri, Namespace, Scheme,
    WrappedDek, endpoint,
};
pub use types::Format;

/// The Rust in the README compiles when the documentation tests run.
#[cfg(all(doctest, feature = "local"))]
#[doc = include_str!("../README.md")]
mod readme {}
