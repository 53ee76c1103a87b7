//! A fake of AWS KMS and AWS STS, for tests of behaviour that moto gets wrong: disabled keys and keys that are pending
//! deletion refuse, multi-region keys decrypt in all their regions, a digest is signed unchanged, and calls fail as a
//! test wants.
//!
//! It follows the AWS KMS API Reference (protocol AWS JSON 1.1), "Key states of AWS KMS keys" in the Developer Guide, and
//! the AWS STS API Reference (query protocol). One [`Account`] has a [`Server`] for each region.

mod account;
mod ciphertext;
mod crypto;
mod error;
mod fault;
mod grants;
mod key;
mod lifecycle;
mod server;
mod store;
mod sts;

pub use account::Account;
pub use fault::Fault;
pub use key::KeyState;
pub use server::{Call, Server};
pub use store::ACCOUNT;
