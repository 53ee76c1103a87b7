//! Signed requests: who submits a task signs it, and a worker that is told the public keys runs nothing else.
//!
//! The right to encrypt is not the right to run tasks. A service that may encrypt, and everybody who takes it over, could
//! otherwise start tasks. The signature is one of the whole request with its secrets, its task and its namespace.

mod digest;
mod keys;
mod signer;

pub use keys::RequestKeyError;
pub(crate) use keys::RequestKeys;
pub(crate) use signer::RequestSigner;

use serde::{Deserialize, Serialize};
use temporal_kms_codec::kms::SignatureAlgorithm;

/// The field of the input with the signature.
const FIELD: &str = "signature";

/// A signature of a request.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestSignature {
    algorithm: SignatureAlgorithm,
    /// Until when a worker may begin the task, in seconds since 1970.
    expires: u64,
    /// In base64.
    signature: String,
}
