//! Keys in PKCS#11 tokens: hardware security modules on premises, in a cloud, or on a USB stick.
//!
//! # Names
//!
//! A key is `pkcs11:token=LABEL;object=LABEL` (RFC 7512). Payloads hold this name. Only the configuration
//! ([`Pkcs11Options`]) holds the path of the vendor's library and the source of the PIN. A key's name that holds either
//! of them is refused.
//!
//! All objects with the label are versions of the key, distinguished by `CKA_ID`. The newest version encrypts and
//! signs. This provider's ids are UUIDs of version 7, which show their age. Ids of other programs count as older, and
//! are ordered as numbers. A name with an `id` means only that version.
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
//! The context's canonical bytes are the additional data. In direct mode it is empty.
//!
//! - Method 1 needs a token with `CKM_AES_GCM` and a key that may encrypt and decrypt. The token does all the work. The
//!   initialization vector is random, so one version of a key may encrypt 2³² times (NIST SP 800-38D, section 8.3).
//! - Method 2 is for tokens that only have `CKM_AES_KEY_WRAP`, and for keys that may only wrap and unwrap. AES key wrap
//!   (RFC 3394) has no additional data. So the token wraps a one-time key. In this process, that key seals the data key
//!   under a constant nonce, with the context as additional data. A wrong context fails authentication, and so does any
//!   changed byte. The one-time key reveals no more to the process than the data key does. The token must let the
//!   process read the key that it unwraps into a session object (`CKA_SENSITIVE` false). Tokens in FIPS mode may refuse
//!   that.
//!
//! The header is not authenticated. A changed id finds no key, or a key under which authentication fails.
//!
//! # The token
//!
//! A module is loaded and initialized once for each process. A login holds for the whole process, too. Keys with the same
//! settings share a pool of sessions. Each call runs on its own thread. At most
//! [`max_sessions`](Pkcs11Options::max_sessions) threads of these keys exist at once for a token, also when calls hang.
//! The runtime does not wait for them when it shuts down, so a program can end while a call hangs.
//!
//! When the token restarts, or drops a session or the login, the call is made again with a new session. When the token
//! or the key has disappeared, the module is finalized and initialized again, because some modules look for tokens only
//! then. That happens at most once a second, every 8 seconds while the token stays away, and once a minute for a key or
//! a token that was never found. The process's other calls to the module wait meanwhile, and open new sessions. Other
//! code in the process that uses the same module loses its sessions.
//!
//! A PIN that the token refused is not sent again, so that the token does not lock it.
//!
//! Some tokens report a wrong tag only as a failed call, as they do when they are out of order. Then the key encrypts
//! and decrypts a probe, at most once a minute.
//!
//! Keys that [`KeyAdmin`](temporal_kms::KeyAdmin) creates are not extractable, sensitive and private. Disabling a
//! version removes its `CKA_DECRYPT` and `CKA_UNWRAP`, or its `CKA_SIGN`. A caller with the PIN can restore them.

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod admin;
mod cipher;
mod client;
mod create;
mod credentials;
mod diagnose;
mod error;
mod gate;
mod handles;
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
