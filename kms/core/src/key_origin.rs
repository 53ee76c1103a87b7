//! Who made the material of a key, and where it is kept: [`KeyOrigin`].

use crate::text_form::text_form;

/// Who made the material of a key, and where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyOrigin {
    /// The service made it, and keeps it.
    Service,
    /// The key's owner made it and imported it into the service.
    Imported,
    /// It is in a cluster of AWS `CloudHSM` that belongs to the key's owner.
    CloudHsm,
    /// It is in a key manager outside of the service.
    External,
}

impl KeyOrigin {
    /// The name in output and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Imported => "imported",
            Self::CloudHsm => "cloudhsm",
            Self::External => "external",
        }
    }
}

text_form!(KeyOrigin);
