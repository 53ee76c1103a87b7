//! Keys in Tink keysets on this machine's disk, for development and tests: `local://NAME` is `NAME.json` in a folder.
//!
//! A keyset is a cleartext JSON keyset of `AesGcmKey`s, or of `EcdsaPrivateKey`s (`NIST_P256`, `SHA256`, `DER`) and
//! `Ed25519PrivateKey`s, as every Tink library reads and writes it. Any Tink library opens what this provider wraps and
//! verifies what it signs ([`Signature::to_tink`](temporal_kms::Signature::to_tink)), and the other way round:
//!
//! ```text
//! 0x01 ‖ key id(4, big endian) ‖ iv(12) ‖ AES-256-GCM ciphertext ‖ tag(16)
//! 0x01 ‖ key id(4, big endian) ‖ signature
//! ```
//!
//! with the context's canonical bytes as additional data. A user who can read the file can decrypt and sign everything:
//! never use it in production. So these are refused, with the command that puts them right:
//!
//! - a keyset that is not a regular file (a link, a pipe, a device), is larger than 1 MiB, belongs to another user than
//!   this process's or root, or may be accessed by group or others;
//! - a folder that belongs to another user than this process's or root, or in which group or others may write. They may
//!   read it: the keysets in it are private. The folders above it are not checked.
//!
//! What is missing is created by [`KeyAdmin::create`](temporal_kms::KeyAdmin::create) and the methods that say so in their name,
//! with mode 0600 in a folder of mode 0700. A keyset is written whole, and is on the disk when the call returns.
//!
//! A [`LocalKeyring`] is its keys' [`KeyAdmin`](temporal_kms::KeyAdmin). The versions of a key are the keys of its keyset. The
//! primary one can be neither disabled nor destroyed, since Tink reads no keyset without one: rotate first. A destroyed
//! one is removed from the file.

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
