//! Why an object cannot be stored or read.

use temporal_kms_codec::SealedFileError;
use thiserror::Error;

/// An object cannot be stored or read. No variant holds its content.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    /// The store refused a call or did not answer.
    #[error(
        "cannot {operation} {object} in the store: {problem}. Check --store and the credentials of the store"
    )]
    Store {
        /// What was tried, such as `read`.
        operation: &'static str,
        /// The object.
        object: String,
        /// Why.
        problem: String,
    },
    /// An object with this name exists.
    #[error("{object} already exists in the store")]
    Exists {
        /// The object.
        object: String,
    },
    /// The object does not exist.
    #[error(
        "{object} does not exist in the store. It was deleted, or this is another store: all programs need the same --store"
    )]
    Missing {
        /// The object.
        object: String,
    },
    /// The object is larger than it may be.
    #[error("{object} has more than {limit} bytes. This program did not write it")]
    TooLarge {
        /// The object.
        object: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// It is not the object that was stored.
    #[error(
        "{object} is not the object that was stored for this task. Somebody who can write to the store replaced it"
    )]
    Replaced {
        /// The object.
        object: String,
    },
    /// It cannot be sealed or opened.
    #[error("cannot {operation} {object}: {problem}")]
    Seal {
        /// What was tried: `seal` or `open`.
        operation: &'static str,
        /// The object.
        object: String,
        /// Why.
        problem: SealedFileError,
    },
}

impl StoreError {
    pub(super) fn of(operation: &'static str, object: &str, error: &object_store::Error) -> Self {
        let object = object.to_owned();
        match error {
            object_store::Error::NotFound { .. } => Self::Missing { object },
            object_store::Error::AlreadyExists { .. } => Self::Exists { object },
            error => Self::Store {
                operation,
                object,
                problem: first_line(error),
            },
        }
    }

    /// Whether trying again later cannot help.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Store { .. } | Self::Exists { .. } => false,
            Self::Missing { .. } | Self::TooLarge { .. } | Self::Replaced { .. } => true,
            Self::Seal { problem, .. } => !problem.is_transient(),
        }
    }
}

/// The answers of stores can be long pages of XML.
fn first_line(error: &object_store::Error) -> String {
    const LONGEST: usize = 300;
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(LONGEST).collect()
}
