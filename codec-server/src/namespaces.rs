//! Which namespace a request is for: its header and its path name one.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use temporal_kms_codec::{ConfigurationError, Namespace};
use temporal_kms_codec_service::namespaces::{
    DEFAULT_NAMESPACE, NamespaceCodec, Namespaces, UnknownNamespace,
};

/// Why a request has no namespace that is served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// The header and the path name different namespaces.
    Contradiction,
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

    /// The namespace of a request: its header names it, else the last segment of its path, else it is `default`.
    ///
    /// Every configured namespace in the path must agree with the header. Otherwise a header could bypass a proxy's rule
    /// about paths.
    pub(crate) fn resolve(
        &self,
        header: Option<Namespace>,
        folder: Option<&Folder>,
    ) -> Result<NamespaceCodec, Unresolved> {
        if self.namespaces.serves_any() {
            return self.resolve_any(header, folder);
        }
        // A configured prefix is of the form of many patterns.
        let is_prefix = folder.is_some_and(|folder| self.prefixes.contains(folder));
        let wanted = match (header, folder) {
            (Some(header), _) => header,
            (None, Some(folder)) if !is_prefix => self.named_by(folder)?,
            (None, _) => self.default.clone(),
        };
        let mut others = folder.into_iter().flat_map(Folder::names);
        if others.any(|name| self.contradicts(name, &wanted, is_prefix)) {
            return Err(Unresolved::Contradiction);
        }
        Ok(self.namespaces.resolve(wanted)?)
    }

    fn resolve_any(
        &self,
        header: Option<Namespace>,
        folder: Option<&Folder>,
    ) -> Result<NamespaceCodec, Unresolved> {
        let segment = folder.and_then(Folder::last).map(Namespace::new);
        let codec = match (header, segment) {
            (Some(namespace), _) => self.namespaces.resolve(namespace),
            // The segment may be a prefix, and not a namespace.
            (None, Some(Ok(segment))) => self.namespaces.resolve_with(segment, &self.default),
            (None, _) => self.namespaces.resolve(self.default.clone()),
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

/// The part of a request's path before the operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    /// Decoded, without empty segments.
    segments: Vec<String>,
    /// Whether the segment before the operation is empty, as in `//decode`.
    ends_empty: bool,
}

impl Folder {
    /// Parses a path in its encoded form, such as `/codec/prod`.
    pub(crate) fn parse(path: &str) -> Self {
        let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
        Self {
            segments: path
                .split('/')
                .filter(|segment| !segment.is_empty())
                .map(decoded)
                .collect(),
            ends_empty: path.is_empty() || path.ends_with('/'),
        }
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
