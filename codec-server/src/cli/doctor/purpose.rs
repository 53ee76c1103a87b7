//! What a key is for. The report of an examination has other checks and other words for keys that sign.

use temporal_kms_codec::kms::Operation;

use super::finding::Check;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Encrypt,
    Sign,
}

impl Purpose {
    /// The checks of such a key, in their order.
    pub(super) const fn checks(self) -> &'static [Check] {
        match self {
            Self::Encrypt => &[
                Check::Credentials,
                Check::Endpoint,
                Check::Clock,
                Check::Key,
                Check::Versions,
                Check::Rotation,
                Check::Permission,
                Check::Latency,
                Check::Cost,
            ],
            // Old signatures stay valid, so the age of a version says nothing.
            Self::Sign => &[
                Check::Credentials,
                Check::Endpoint,
                Check::Clock,
                Check::Key,
                Check::Versions,
                Check::Permission,
                Check::Latency,
                Check::RoundTrip,
            ],
        }
    }

    /// Those of them that use the key.
    pub(super) const fn uses(self) -> &'static [Check] {
        match self {
            Self::Encrypt => &[Check::Permission, Check::Latency, Check::Cost],
            Self::Sign => &[Check::Permission, Check::Latency, Check::RoundTrip],
        }
    }

    /// What the key has to do first of all.
    pub(super) const fn operation(self) -> Operation {
        match self {
            Self::Encrypt => Operation::Wrap,
            Self::Sign => Operation::Sign,
        }
    }

    /// What else a key can be for.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Encrypt => Self::Sign,
            Self::Sign => Self::Encrypt,
        }
    }

    /// What to do about a key for the other purpose.
    pub(super) const fn instead(self) -> &'static str {
        match self {
            Self::Encrypt => "name a key that encrypts, or check this one with --signing-key",
            Self::Sign => "name a key that signs, or check this one with --key",
        }
    }

    /// What `keys create` needs to make such a key, with a space before it.
    pub(super) const fn create_arguments(self) -> &'static str {
        match self {
            Self::Encrypt => "",
            Self::Sign => " --purpose sign-p256",
        }
    }

    /// What a disabled primary version prevents.
    pub(super) const fn without_primary(self) -> &'static str {
        match self {
            Self::Encrypt => "nothing can be encrypted, and what it encrypted cannot be decrypted",
            Self::Sign => "nothing can be signed",
        }
    }

    /// What older versions that are disabled prevent.
    pub(super) const fn without_older(self) -> &'static str {
        match self {
            Self::Encrypt => "payloads that they encrypted cannot be decrypted",
            Self::Sign => {
                "their signatures verify only with a public key that was stored elsewhere"
            }
        }
    }

    /// When older versions have to be enabled again.
    pub(super) const fn if_needed(self) -> &'static str {
        match self {
            Self::Encrypt => "if such payloads are still needed",
            Self::Sign => "if such signatures still have to be verified",
        }
    }

    /// What is lost with versions that are destroyed.
    pub(super) const fn lost(self) -> &'static str {
        match self {
            Self::Encrypt => "what they encrypted is lost",
            Self::Sign => "the service does not have their public keys any more",
        }
    }
}
