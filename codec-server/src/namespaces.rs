//! Which namespace a request is for: its header and its path name one.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use temporal_kms_codec::{ConfigurationError, DataKeyState, Namespace};
use temporal_kms_codec_service::namespaces::{
    DEFAULT_NAMESPACE, NamespaceCodec, Namespaces, UnknownNamespace,
};

/// Why a request has no namespace that is served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// The path names another namespace than this one, which the header or the end of the path names.
    Contradiction(Namespace),
    /// The namespace of the header is not configured; without a header, `default` is not.
    Unknown(Namespace),
    /// The namespace of the path is not configured, and the path is not a configured prefix.
    UnknownInPath(String),
}

impl From<UnknownNamespace> for Unresolved {
    fn from(error: UnknownNamespace) -> Self {
        Self::Unknown(error.0)
    }
}

/// The namespace that a request asks for.
#[derive(Debug)]
pub(crate) struct Requested {
    pub(crate) namespace: Namespace,
    /// The name is that of a path where any namespace is served. It may be a prefix, and not a namespace.
    may_be_prefix: bool,
}

impl From<Namespace> for Requested {
    fn from(namespace: Namespace) -> Self {
        Self {
            namespace,
            may_be_prefix: false,
        }
    }
}

/// The namespaces that are served, and the path prefixes, which do not name a namespace.
#[derive(Debug)]
pub(crate) struct RequestNamespaces {
    namespaces: Arc<Namespaces>,
    /// The namespace of a request that does not name one.
    default: Namespace,
    prefixes: Vec<Folder>,
}

impl RequestNamespaces {
    pub(crate) fn new(
        namespaces: Arc<Namespaces>,
        prefixes: Vec<Folder>,
    ) -> Result<Self, ConfigurationError> {
        Ok(Self {
            namespaces,
            default: Namespace::new(DEFAULT_NAMESPACE)?,
            prefixes,
        })
    }

    /// The namespaces that are configured by their names.
    pub(crate) fn names(&self) -> Vec<Namespace> {
        self.namespaces.exact_names()
    }

    /// The data keys of a section.
    pub(crate) fn data_keys(&self, section: &str) -> Option<DataKeyState> {
        self.namespaces.data_keys(section)
    }

    /// Whether a request for this namespace can be served.
    pub(crate) fn serves(&self, namespace: &Namespace) -> bool {
        self.namespaces.serves(namespace.as_str())
    }

    /// The namespace of a request: its header names it, else the last segment of its path, else it is `default`.
    ///
    /// Every configured namespace in the path must agree with the header. Otherwise a header could bypass a proxy's rule
    /// about paths.
    pub(crate) fn requested(
        &self,
        header: Option<Namespace>,
        folder: &Folder,
    ) -> Result<Requested, Unresolved> {
        if self.namespaces.serves_any() {
            return Ok(self.any_requested(header, folder));
        }
        // A configured prefix is of the form of many patterns.
        let is_prefix = self.prefixes.contains(folder);
        let asked = match header {
            Some(header) => header,
            None if is_prefix => self.default.clone(),
            None => self.named_by(folder)?,
        };
        if folder
            .names()
            .any(|name| self.contradicts(name, &asked, is_prefix))
        {
            return Err(Unresolved::Contradiction(asked));
        }
        Ok(asked.into())
    }

    fn any_requested(&self, header: Option<Namespace>, folder: &Folder) -> Requested {
        let segment = folder
            .last()
            .and_then(|segment| Namespace::new(segment).ok());
        match (header, segment) {
            (None, Some(namespace)) => Requested {
                namespace,
                may_be_prefix: true,
            },
            (header, _) => header.unwrap_or_else(|| self.default.clone()).into(),
        }
    }

    /// The codec of a namespace. A codec of a pattern is made now, and takes the place of another one in memory. So ask for
    /// it when the caller may use it.
    pub(crate) fn codec(&self, requested: Requested) -> Result<NamespaceCodec, Unresolved> {
        let namespace = requested.namespace;
        let codec = if requested.may_be_prefix {
            self.namespaces.resolve_with(namespace, &self.default)
        } else {
            self.namespaces.resolve(namespace)
        };
        Ok(codec?)
    }

    fn named_by(&self, folder: &Folder) -> Result<Namespace, Unresolved> {
        let Some(segment) = folder.last() else {
            return Ok(self.default.clone());
        };
        let namespace = Namespace::new(segment).ok();
        namespace
            .filter(|namespace| self.namespaces.serves(namespace.as_str()))
            .ok_or_else(|| Unresolved::UnknownInPath(segment.to_owned()))
    }

    /// Whether a segment of the path means another namespace than `asked`. A proxy may ignore case.
    fn contradicts(&self, name: &str, asked: &Namespace, is_prefix: bool) -> bool {
        let asked = asked.as_str();
        if name == asked {
            return false;
        }
        if self.namespaces.names(name) {
            return true;
        }
        if name.eq_ignore_ascii_case(asked) {
            return false;
        }
        if is_prefix {
            self.namespaces.names_ignoring_case(name)
        } else {
            self.namespaces.serves(name) || self.namespaces.resembles(name)
        }
    }
}

/// The segments of a path before the operation. Each is compared with all namespaces.
const MOST_SEGMENTS: usize = 16;

/// The part of a request's path before the operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    /// Decoded, without empty segments.
    segments: Vec<String>,
    /// Whether the segment before the operation is empty, as in `//decode`.
    ends_empty: bool,
}

impl Folder {
    /// Parses a path in its encoded form, such as `/codec/prod`. `None` for a path with too many segments.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let segments: Vec<String> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .take(MOST_SEGMENTS + 1)
            .map(decoded)
            .collect();
        let parts = segments.iter().flat_map(|segment| segment.split('/'));
        (parts.count() <= MOST_SEGMENTS).then(|| Self {
            segments,
            ends_empty: path.is_empty() || path.ends_with('/'),
        })
    }

    /// The segment before the operation.
    fn last(&self) -> Option<&str> {
        let last = self.segments.last().filter(|_| !self.ends_empty);
        last.map(String::as_str)
    }

    /// Every text that could name a namespace. Many proxies treat an encoded slash as a slash.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.segments
            .iter()
            .flat_map(|segment| std::iter::once(segment.as_str()).chain(segment.split('/')))
    }
}

#[cfg(test)]
mod tests;
