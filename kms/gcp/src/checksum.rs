//! The checksums of requests and answers.

/// CRC32C in the service's form: unsigned 32 bits in an int64.
pub(super) fn crc32c(data: &[u8]) -> i64 {
    crc32c::crc32c(data).into()
}

/// Whether an answer holds the right checksum of its data. An answer without a checksum proves nothing.
pub(super) fn matches(data: &[u8], checksum: Option<i64>) -> bool {
    checksum == Some(crc32c(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4.
    #[test]
    fn computes_the_castagnoli_polynomial() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert!(matches(b"", Some(0)));
        assert!(!matches(b"", None));
        assert!(!matches(&[0; 32], Some(-1)));
    }
}
