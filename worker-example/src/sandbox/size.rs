//! The disk that one file uses.

use std::{fs::Metadata, os::unix::fs::MetadataExt as _};

/// What a file or a folder counts at least, so that empty files are limited, too.
pub(super) const LEAST: u64 = 4096;
/// `st_blocks` counts these (stat(2)).
const BLOCK: u64 = 512;

/// The bytes that a file or a folder uses, without what is in the folder.
pub(super) fn in_use(file: &Metadata) -> u64 {
    file.blocks().saturating_mul(BLOCK).max(LEAST)
}
