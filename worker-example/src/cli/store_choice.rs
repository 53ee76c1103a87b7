//! Which store a program uses.

use std::{path::Path, str::FromStr};

use temporal_kms_codec_service::arguments::variable;

use super::exit::CommandError;
use crate::store::{LocationError, StoreLocation};

/// The variable of the original service with the name of a bucket at Google Cloud Storage.
const LOGS_BUCKET: &str = "GCS_LOGS_BUCKET";
/// The value that switches the store off.
const NONE: &str = "none";
/// What is lost without a store, for those who did not ask for this.
const LOST: &str = "the secrets of requests become a part of the history, where people who may decrypt see them. Events above \
    32 KiB and events that come fast are missing in streams. No metadata.json is written, and nothing is uploaded";

/// Which store a program uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoreChoice {
    /// The operator has switched the store off.
    Off,
    /// This one.
    At(StoreLocation),
}

impl StoreChoice {
    /// The store of `--store`, or otherwise that of a variable.
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `GCS_LOGS_BUCKET` | a bucket of Google Cloud Storage, where `CLAUDE_TASKS_STORE` is not set |
    ///
    /// # Errors
    /// When the variable does not name a bucket.
    pub(super) fn find(option: Option<&Self>) -> Result<Option<Self>, CommandError> {
        if let Some(choice) = option {
            return Ok(Some(choice.clone()));
        }
        let bucket = variable(LOGS_BUCKET).map(|name| StoreLocation::google_bucket(&name));
        let bucket = bucket.transpose().map_err(CommandError::LogsBucket)?;
        Ok(bucket.map(Self::At))
    }

    /// The store of `claude-tasks all` unless its operator chooses another one: a folder that only its user may enter.
    pub(super) fn within(workdir: &Path) -> Self {
        Self::At(StoreLocation::folder(workdir.join("store")))
    }

    /// Where objects are stored, if the store is not switched off.
    pub(super) fn location(self) -> Option<StoreLocation> {
        match self {
            Self::Off => None,
            Self::At(location) => Some(location),
        }
    }

    /// Warns the operator of a program that has no store without having been told so.
    pub(super) fn warn_if_unset(choice: Option<&Self>) {
        if choice.is_none() {
            tracing::warn!(
                "no store is set: {LOST}. Set --store (CLAUDE_TASKS_STORE) to the same folder or bucket for the API, the workers \
                 and all who submit tasks, or to `{NONE}` if this is intended"
            );
        }
    }
}

impl FromStr for StoreChoice {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        if text == NONE {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_none_switches_the_store_off() {
        let parsed = |text: &str| text.parse::<StoreChoice>().unwrap();
        assert_eq!(parsed("none").location(), None);
        for text in ["./none", "None", "gs://none"] {
            assert!(parsed(text).location().is_some(), "{text}");
        }
        assert!("".parse::<StoreChoice>().is_err());
    }

    #[test]
    fn the_store_of_one_process_is_below_its_folder() {
        let location = StoreChoice::within("data".as_ref()).location().unwrap();
        assert_eq!(location.to_string(), "data/store");
    }
}
