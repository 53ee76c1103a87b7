//! Where the configuration of the API came from.

use std::path::{Path, PathBuf};

use temporal_kms_codec_service::watch::Watch;

/// Where the configuration came from, and how its files looked then.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(super) path: Option<PathBuf>,
    pub(super) files: Watch,
}

impl Origin {
    /// Call it before the file is read, so that no change is missed.
    pub(super) fn new(path: Option<&Path>) -> Self {
        let mut files = Watch::default();
        files.extend(path);
        Self {
            path: path.map(Path::to_owned),
            files,
        }
    }
}
