//! Keys in Tink keysets on this machine's disk, for development and tests: `local://NAME` is `NAME.json` in a folder.
//!
//! A keyset is a cleartext JSON keyset of `AesGcmKey`s, or of `EcdsaPrivateKey`s (`NIST_P256`, `SHA256`, `DER`) and
//! `Ed25519PrivateKey`s. Every Tink library reads and writes this form. Any Tink library opens what this provider wraps
//! and verifies what it signs ([`Signature::to_tink`](temporal_kms::Signature::to_tink)), and the reverse:
//!
//! ```text
//! 0x01 ‖ key id(4, big endian) ‖ iv(12) ‖ AES-256-GCM ciphertext ‖ tag(16)
//! 0x01 ‖ key id(4, big endian) ‖ signature
//! ```
//!
//! The context's canonical bytes are the additional data. A user who can read the file can decrypt and sign everything,
//! so never use it in production. These files and folders are refused, with an error that has the command for the
//! remedy:
//!
//! - a keyset that is not a regular file (a link, a pipe, a device), is larger than 1 MiB, belongs to another user than
//!   this process's user or root, or can be accessed by group or others;
//! - a folder that belongs to another user than this process's user or root, or in which group or others may write.
//!   They may read the folder, because the keysets in it are private. Parent folders are not checked.
//!
//! Only [`KeyAdmin::create`](temporal_kms::KeyAdmin::create) and methods with `create` in their name create keysets,
//! with mode 0600 in a folder of mode 0700. A keyset is written completely, and is on the disk when the call returns.
//!
//! A [`LocalKeyring`] implements [`KeyAdmin`](temporal_kms::KeyAdmin) for its keys. The versions of a key are the keys
//! of its keyset. The primary key cannot be disabled or destroyed, because Tink does not read a keyset without one.
//! Rotate first. A destroyed key is removed from the file.

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod admin;
mod client;
mod diagnose;
mod error;
mod file;
mod keyset;
mod provider;
mod service;
mod settings;
mod signer;
#[cfg(test)]
mod tests;
mod watched;

pub use self::{client::LocalKeyring, service::LocalKms, settings::LocalOptions};
