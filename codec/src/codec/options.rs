//! What one call of `decode_each_with` changes.

/// How one call decodes. The default is what [`Codec::decode_each`](crate::Codec::decode_each) does.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct DecodeOptions {
    pub(super) keep_storage_references: bool,
    pub(super) max_decompressed: Option<usize>,
}

impl DecodeOptions {
    /// Returns storage references unchanged
    /// ([`PayloadExt::is_storage_reference`](crate::PayloadExt::is_storage_reference)), also where unencrypted payloads are
    /// refused. Default: `false`.
    ///
    /// A kept reference is not authentic: anybody who can write to Temporal can forge one. Show it to people, or to a
    /// program that decodes what the reference leads to.
    pub const fn keep_storage_references(mut self, keep: bool) -> Self {
        self.keep_storage_references = keep;
        self
    }

    /// The most bytes that one payload may become by decompression. The codec's own limit applies too.
    pub const fn max_decompressed(mut self, bytes: usize) -> Self {
        self.max_decompressed = Some(bytes);
        self
    }
}
