//! The clients of key management services, so that keys share them.

use std::fmt;
#[cfg(feature = "aws-kms")]
use std::sync::Arc;

#[cfg(feature = "aws-kms")]
use super::aws::{AwsKms, AwsOptions};

/// The clients that keys share: one for each service and each set of options. Clones are the same value.
///
/// A client has the connections, the credentials and the sessions that AWS STS hands out. Cloud KMS and PKCS#11 share
/// theirs within the whole process.
#[derive(Clone, Default)]
pub struct KmsClients {
    #[cfg(feature = "aws-kms")]
    aws: Arc<parking_lot::Mutex<Vec<AwsKms>>>,
}

impl KmsClients {
    /// AWS KMS with these options.
    #[cfg(feature = "aws-kms")]
    pub(super) fn aws(&self, options: &AwsOptions) -> AwsKms {
        let mut clients = self.aws.lock();
        if let Some(known) = clients.iter().find(|client| client.has(options)) {
            return known.clone();
        }
        let client = AwsKms::new(options.clone());
        clients.push(client.clone());
        client
    }
}

impl fmt::Debug for KmsClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KmsClients")
    }
}
