//! Certificates, keys and revocation lists in PEM files.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::SystemTime,
};

use nix::fcntl::OFlag;
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use x509_cert::{Certificate, der::Decode as _};
use zeroize::Zeroizing;

use super::error::TlsError;

/// No certificate, key or list is larger. A wrong path can name any file.
const MAX_FILE: u64 = 4 << 20;

/// The bytes of a file. A pipe would block, and is refused.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let read = || {
        let file = File::options()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::other("it is larger than 4 MiB"));
        }
        Ok(bytes)
    };
    read().map_err(|source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Every certificate of a file, at least one.
pub(super) fn certificates(
    path: &Path,
    bytes: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    all(path, bytes, "certificate")
}

/// When the first certificate expires.
pub(super) fn expires(
    path: &Path,
    chain: &[CertificateDer<'static>],
) -> Result<SystemTime, TlsError> {
    let first = chain.first().map(|der| Certificate::from_der(der));
    let certificate = first.and_then(Result::ok);
    let certificate = certificate.ok_or_else(|| malformed(path, "certificate"))?;
    let not_after = certificate.tbs_certificate().validity().not_after;
    Ok(not_after.to_system_time())
}

/// Every revocation list of a file, at least one.
pub(super) fn revocation_lists(
    path: &Path,
    bytes: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    all(path, bytes, "certificate revocation list")
}

/// The private key of a file: PKCS #8, PKCS #1 or SEC 1.
pub(super) fn key(path: &Path, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    const EXPECTED: &str = "private key";
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => empty(path, EXPECTED),
        _ => malformed(path, EXPECTED),
    })
}

fn all<T: PemObject>(
    path: &Path,
    bytes: &[u8],
    expected: &'static str,
) -> Result<Vec<T>, TlsError> {
    let items: Result<Vec<T>, _> = T::pem_slice_iter(bytes).collect();
    let items = items.map_err(|_| malformed(path, expected))?;
    if items.is_empty() {
        return Err(empty(path, expected));
    }
    Ok(items)
}

fn empty(path: &Path, expected: &'static str) -> TlsError {
    TlsError::Empty {
        path: path.to_owned(),
        expected,
    }
}

fn malformed(path: &Path, expected: &'static str) -> TlsError {
    TlsError::Malformed {
        path: path.to_owned(),
        expected,
    }
}
