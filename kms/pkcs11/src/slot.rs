//! Finding the slot that a token is in: it can be another one after every restart.

use cryptoki::{
    context::Pkcs11,
    slot::{Slot, TokenInfo},
};

use super::error::Failure;
use temporal_kms::{ProviderErrorKind as Kind, support::Pkcs11Path};

/// Where a token is.
pub(super) struct Found {
    pub(super) slot: Slot,
    pub(super) serial: String,
}

/// The result of a search for a token, where the module answered.
pub(super) enum Search {
    Found(Found),
    /// There is no such token. Others may have failed to say what they are.
    Absent,
}

/// Looks for the token that `name` names. It ignores failures of other tokens: they may be broken, or be removed at this
/// moment.
pub(super) fn find(library: &Pkcs11, name: &Pkcs11Path) -> Result<Search, Failure> {
    let mut found = None;
    for slot in library.get_slots_with_token()? {
        let Ok(info) = library.get_token_info(slot) else {
            continue;
        };
        if !info.token_initialized() || !matches(name, slot, &info) {
            continue;
        }
        let serial = info.serial_number().to_owned();
        if found.replace(Found { slot, serial }).is_some() {
            return Err(Failure::new(
                Kind::Misconfigured,
                "several tokens have these attributes; add serial=NUMBER",
            ));
        }
    }
    Ok(found.map_or(Search::Absent, Search::Found))
}

fn matches(name: &Pkcs11Path, slot: Slot, info: &TokenInfo) -> bool {
    let is = |wanted: &Option<String>, value: &str| {
        wanted.as_deref().is_none_or(|wanted| wanted == value)
    };
    is(&name.token, info.label())
        && is(&name.manufacturer, info.manufacturer_id())
        && is(&name.model, info.model())
        && is(&name.serial, info.serial_number())
        && name.slot_id.is_none_or(|id| id == slot.id())
}
