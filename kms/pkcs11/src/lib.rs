//! Keys in PKCS#11 tokens: hardware security modules on premises, in a cloud, or on a stick.
//!
//! # Names
//!
//! A key is `pkcs11:token=LABEL;object=LABEL` (RFC 7512). That is what payloads carry; where the vendor's library and
//! the PIN are is known to the configuration alone ([`Pkcs11Options`]), and a key's name that holds either is refused.
//!
//! All objects with the label are versions of the key, told apart by `CKA_ID`. The newest encrypts and signs: ids that
//! this provider makes are UUIDs of version 7 and tell their age; ids of other programs are older, and ordered as
//! numbers. A name with an `id` means that version alone.
//!
//! # What is written
//!
//! ```text
//! 0x01 ‖ method ‖ length of the key's id ‖ key's id ‖ body
//!
//! method 0x01   body = iv(12) ‖ AES-GCM ciphertext ‖ tag(16)
//! method 0x02   body = AES key wrap(fresh key)(40) ‖ AES-256-GCM ciphertext ‖ tag(16)
//! ```
//!
//! with the context's canonical bytes as additional data, which are none in direct mode.
//!
//! - Method 1 is taken where the token has `CKM_AES_GCM` and the key may encrypt and decrypt: the token does it all.
//!   The initialization vector is random, so one version of a key may encrypt 2³² times (NIST SP 800-38D, section 8.3).
//! - Method 2 is for tokens that only have `CKM_AES_KEY_WRAP`, and for keys that may only wrap and unwrap. AES key wrap
//!   (RFC 3394) knows no additional data. So it wraps a key that is made for this one time, and that seals the data key
//!   with the context as additional data in this process, under a constant nonce: a wrong context, like any changed byte, does
//!   not authenticate. What the process sees of keys is what it sees of the data key anyway. The token must let it
//!   read the key that it unwraps into a session object (`CKA_SENSITIVE` false); those in FIPS mode may not.
//!
//! The head is not authenticated: a changed id finds another key or none, under which nothing authenticates.
//!
//! # The token
//!
//! A module is initialized once for each process. Sessions are pooled. Each call runs on a thread of its own, and at most
//! [`max_sessions`](Pkcs11Options::max_sessions) threads of a token exist at once, however many calls hang. The runtime does
//! not wait for them when it shuts down, so a program can end while a call hangs.
//!
//! When the token restarts, or drops a session or the login, the call is made again with a new session. When the token is
//! not there any more, or the key is not, the module is finalized and initialized again, since some modules look for tokens
//! only then. That happens at most once a second, once in 8 seconds while the token stays away, and once a minute for a key
//! or a token that was never found. Other calls of the process to the module wait meanwhile, and open new sessions.
//! Another user of the same module in the process loses its sessions.
//!
//! A PIN that the token refused is not sent twice, so that the token does not lock it.
//!
//! Some tokens do not say that a tag is wrong, but only that the call failed, as they do when they are out of order. Then the
//! key encrypts and decrypts a probe, at most once a minute.
//!
//! Keys that [`KeyAdmin`](temporal_kms::KeyAdmin) makes are not extractable, sensitive and private. Disabling a version takes
//! `CKA_DECRYPT` and `CKA_UNWRAP`, or `CKA_SIGN`, from it; anyone who has the PIN can give it back.

mod admin;
mod cipher;
mod client;
mod create;
mod credentials;
mod diagnose;
mod error;
mod gate;
mod login;
mod mechanisms;
mod module;
mod object;
mod pool;
mod probe;
mod provider;
mod recovery;
mod service;
mod settings;
mod signer;
mod slot;
mod threads;
mod token;
mod version_id;
mod wrapped;

pub use self::{
    client::Pkcs11Kms,
    credentials::PinSource,
    settings::{Pkcs11Access, Pkcs11Options},
};
