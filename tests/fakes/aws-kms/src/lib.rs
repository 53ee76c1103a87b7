//! AWS KMS and AWS STS as far as this project calls them, for tests of what moto does otherwise than AWS: keys that are
//! disabled or pending deletion refuse, multi-region keys decrypt in every region that they are in, a digest is signed
//! as it is, and calls fail in whichever way a test wants.
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
