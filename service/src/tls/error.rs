//! Why certificates cannot be used.

use std::{io, path::PathBuf};

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: it cannot be read: {source}; check its path and permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file has no certificate, key or list in PEM.
    #[error("{path}: it holds no {expected} in PEM; name the file that holds it")]
    Empty {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
    /// A file is not PEM, or what it holds is not valid.
    #[error("{path}: its {expected} cannot be read; write it again in PEM")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
    /// The key is not that of the certificate.
    #[error(
        "{key}: it is not the key of the certificate {certificate}; name files that belong together"
    )]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The TLS library refuses the certificates.
    #[error("{path}: {reason}; replace it")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the library says.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_names_the_file_and_says_what_to_do() {
        let (path, key): (PathBuf, PathBuf) = ("/etc/tls.crt".into(), "/etc/tls.key".into());
        let expected = "certificate";
        let all = [
            TlsError::Unreadable {
                path: path.clone(),
                source: io::ErrorKind::NotFound.into(),
            },
            TlsError::Empty {
                path: path.clone(),
                expected,
            },
            TlsError::Malformed {
                path: path.clone(),
                expected,
            },
            TlsError::Mismatch {
                certificate: path.clone(),
                key,
            },
            TlsError::Unusable {
                path,
                reason: "its key is too short".to_owned(),
            },
        ];
        for error in all {
            // A new variant does not compile until it is here.
            let remedy = match &error {
                TlsError::Unreadable { .. } => "check its path and permissions",
                TlsError::Empty { .. } => "name the file that holds it",
                TlsError::Malformed { .. } => "write it again in PEM",
                TlsError::Mismatch { .. } => "name files that belong together",
                TlsError::Unusable { .. } => "replace it",
            };
            let text = error.to_string();
            assert!(text.contains("/etc/tls.crt"), "{text}");
            assert!(text.ends_with(remedy), "{text}");
        }
    }
}
