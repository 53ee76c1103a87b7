//! The AES mechanisms of a token.

use cryptoki::{
    context::Pkcs11,
    error::Error,
    mechanism::{MechanismInfo, MechanismType},
    slot::Slot,
};

/// The AES mechanisms of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mechanisms {
    /// Encrypting and decrypting with AES-GCM.
    pub(super) gcm: bool,
    /// Wrapping and unwrapping with AES key wrap.
    pub(super) key_wrap: bool,
}

impl Mechanisms {
    pub(super) fn of(library: &Pkcs11, slot: Slot) -> Result<Self, Error> {
        let listed = library.get_mechanism_list(slot)?;
        let has = |mechanism, can: fn(&MechanismInfo) -> bool| -> Result<bool, Error> {
            Ok(listed.contains(&mechanism) && can(&library.get_mechanism_info(slot, mechanism)?))
        };
        Ok(Self {
            gcm: has(MechanismType::AES_GCM, |info| {
                info.encrypt() && info.decrypt()
            })?,
            key_wrap: has(MechanismType::AES_KEY_WRAP, |info| {
                info.wrap() && info.unwrap()
            })?,
        })
    }
}
