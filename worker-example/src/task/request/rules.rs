//! What a request may have depends on the operator, and on its way.

/// What depends on the operator and on the way of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestRules {
    /// Whether `gitRepo` may be a `file://` URL. Only tests need this: the worker's own files become readable.
    pub file_repositories: bool,
    /// Whether `callbackUrl` is required.
    pub callback_required: bool,
    /// Whether `callbackUrl` is not a field of the request, as in `POST /run`. A usable one has an effect all the same. Any other
    /// value is an unknown field.
    pub callback_is_extra: bool,
}

impl RequestRules {
    /// Allows `file://` repositories.
    #[must_use]
    pub fn with_file_repositories(mut self, allowed: bool) -> Self {
        self.file_repositories = allowed;
        self
    }

    /// Lets a `callbackUrl` without use pass as an unknown field.
    #[must_use]
    pub fn with_extra_callback(mut self) -> Self {
        self.callback_is_extra = true;
        self
    }

    /// Requires a `callbackUrl`, as tasks in the background do.
    #[must_use]
    pub fn with_callback_required(mut self) -> Self {
        self.callback_required = true;
        self
    }
}
