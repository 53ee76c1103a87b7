//! Signs requests with a key of a key service.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use temporal_kms_codec::kms::{ProviderError, Signer};

use super::{FIELD, RequestSignature, digest::message};
use crate::task::TaskInput;

/// Signs requests.
#[derive(Clone)]
pub(crate) struct RequestSigner(Arc<dyn Signer>);

impl RequestSigner {
    /// Signs with this key.
    pub(crate) fn new(signer: Arc<dyn Signer>) -> Self {
        Self(signer)
    }

    /// Signs a request. A worker may begin the task within `valid` from now.
    ///
    /// # Errors
    /// When the key service refuses or fails.
    pub(crate) async fn sign(
        &self,
        input: &mut TaskInput,
        namespace: &str,
        valid: Duration,
    ) -> Result<(), ProviderError> {
        let until = SystemTime::now().checked_add(valid);
        let expires = until
            .and_then(|until| until.duration_since(SystemTime::UNIX_EPOCH).ok())
            .map_or(u64::MAX, |since| since.as_secs());
        let text = message(input.value(), namespace, expires);
        let signature = self.0.sign(text.as_bytes()).await?;
        input.set(
            FIELD,
            &RequestSignature {
                algorithm: signature.algorithm,
                expires,
                signature: BASE64.encode(signature.bytes),
            },
        );
        Ok(())
    }
}

impl fmt::Debug for RequestSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestSigner({})", self.0.uri())
    }
}
