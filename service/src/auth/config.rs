//! `[auth]` and the sections below it.

use crate::settings::Section;

/// Who may call, and what each caller may do.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AuthConfig {}

impl AuthConfig {
    /// Reads `document.section("auth")` with all sections below it, such as `[auth.issuers.NAME]`.
    #[must_use]
    pub fn read(section: Section<'_>) -> Self {
        section.finish();
        Self::default()
    }

    /// Whether the configuration has no way to authenticate, so that every caller would have every role. Listen on
    /// loopback only then.
    #[must_use]
    pub fn is_open(&self) -> bool {
        true
    }
}
