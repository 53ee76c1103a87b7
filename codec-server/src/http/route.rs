//! The route of a request: the last segment of its path is the operation, the segments before it may name a namespace.

use http::Uri;

use crate::namespaces::Folder;

/// What the request wants done with its payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Encode,
    Decode,
    Download,
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Encode => "encode",
            Self::Decode => "decode",
            Self::Download => "download",
        }
    }
}

/// A request's target.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) operation: Operation,
    /// The path before the operation: a namespace or a configured prefix.
    pub(super) folder: Folder,
    /// Return storage references unchanged.
    pub(super) preserve_storage_refs: bool,
}

impl Route {
    /// The route of a target; `None` for other paths.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let (folder, operation) = uri.path().rsplit_once('/')?;
        let operation = match operation {
            "encode" => Operation::Encode,
            "decode" => Operation::Decode,
            "download" => Operation::Download,
            _ => return None,
        };
        let mut parameters = uri.query().unwrap_or_default().split('&');
        let preserve_storage_refs = parameters.any(|pair| pair == "preserveStorageRefs=true");
        Some(Self {
            operation,
            folder: Folder::parse(folder)?,
            preserve_storage_refs,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_segment_is_the_operation() {
        let operation = |path: &str| Route::of(&path.parse().unwrap()).map(|route| route.operation);
        for (path, expected) in [
            ("/decode", Operation::Decode),
            ("//decode", Operation::Decode),
            ("/prod/encode", Operation::Encode),
            ("/a/b/c/download", Operation::Download),
            ("/%FF/decode", Operation::Decode),
            ("http://localhost:1/x/decode", Operation::Decode),
        ] {
            assert_eq!(operation(path), Some(expected), "{path}");
        }
        for none in [
            "/",
            "/decode/",
            "/decoder",
            "/Decode",
            "/decode/x",
            "/encode%2Fdecode",
            "*",
        ] {
            assert_eq!(operation(none), None, "{none}");
        }
    }

    #[test]
    fn a_path_with_too_many_segments_is_unknown() {
        let is_known = |folder: String| Route::of(&format!("{folder}/decode").parse().unwrap());
        assert!(is_known("/a".repeat(16)).is_some());
        assert!(is_known("/a".repeat(17)).is_none());
        assert!(is_known("/a".repeat(15_000)).is_none());
        // Many proxies treat an encoded slash as a slash.
        assert!(is_known(format!("/a{}", "%2Fa".repeat(15))).is_some());
        assert!(is_known(format!("/a{}", "%2fa".repeat(16))).is_none());
        assert!(is_known("/".repeat(1000)).is_some());
    }

    #[test]
    fn storage_references_are_preserved_on_request_only() {
        let preserve = |uri: &str| {
            Route::of(&uri.parse().unwrap())
                .unwrap()
                .preserve_storage_refs
        };
        assert!(preserve("/decode?preserveStorageRefs=true"));
        assert!(preserve("/decode?a=b&preserveStorageRefs=true"));
        assert!(!preserve("/decode"));
        assert!(!preserve("/decode?preserveStorageRefs=false"));
    }
}
