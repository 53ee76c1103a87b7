//! What the arguments of `keys` are parsed to.

use std::{str::FromStr, time::Duration};

use clap::ValueEnum;
use temporal_kms_codec::{
    Namespace,
    kms::{KeyPurpose, KeyRole, Protection},
};

const DAY: Duration = Duration::from_hours(24);

/// A rotation schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rotation {
    Never,
    Every(Duration),
}

impl Rotation {
    pub(super) fn period(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::Every(period) => Some(period),
        }
    }
}

impl FromStr for Rotation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        time(text).map(Self::Every)
    }
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum PurposeArg {
    #[default]
    Encrypt,
    SignP256,
    SignEd25519,
}

impl From<PurposeArg> for KeyPurpose {
    fn from(purpose: PurposeArg) -> Self {
        match purpose {
            PurposeArg::Encrypt => Self::Encrypt,
            PurposeArg::SignP256 => Self::SignP256,
            PurposeArg::SignEd25519 => Self::SignEd25519,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ProtectionArg {
    Software,
    Hsm,
}

impl From<ProtectionArg> for Protection {
    fn from(protection: ProtectionArg) -> Self {
        match protection {
            ProtectionArg::Software => Self::Software,
            ProtectionArg::Hsm => Self::Hsm,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RoleArg {
    Encrypter,
    Decrypter,
    Signer,
    Verifier,
}

impl From<RoleArg> for KeyRole {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Encrypter => Self::Encrypter,
            RoleArg::Decrypter => Self::Decrypter,
            RoleArg::Signer => Self::Signer,
            RoleArg::Verifier => Self::Verifier,
        }
    }
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    /// 100 years, the longest rotation period of Cloud KMS.
    const LONGEST: Duration = Duration::from_hours(36_525 * 24);
    temporal_kms_codec_service::units::time_above_zero(text, LONGEST)
}

/// Whole days, as AWS KMS counts them.
pub(super) fn window(text: &str) -> Result<u8, String> {
    let window = time(text)?;
    let days = (7..=30).find(|days| DAY * u32::from(*days) == window);
    days.ok_or_else(|| "expected 7 to 30 whole days, such as 14d".to_owned())
}

pub(super) fn namespace(text: &str) -> Result<Namespace, String> {
    Namespace::new(text).map_err(|error| error.reason().to_owned())
}

/// The id of a key store of AWS KMS.
pub(super) fn key_store(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("cks-").unwrap_or_default();
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(text.to_owned());
    }
    Err("expected the id of a key store, cks-…".to_owned())
}

/// A region of AWS.
pub(super) fn region(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.contains('-') && text.len() <= 32 && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("expected a region of AWS, such as us-west-2".to_owned())
}

pub(super) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_7_to_30_whole_days() {
        assert_eq!(window("7d"), Ok(7));
        assert_eq!(window("720h"), Ok(30));
        for bad in ["6d", "31d", "7d 1s", "30", "0d", ""] {
            assert!(window(bad).is_err(), "{bad}");
        }
    }
}
