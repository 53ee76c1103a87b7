//! Finds the slot of a token. It can change with every restart.

use cryptoki::{
    context::Pkcs11,
    slot::{Slot, TokenInfo},
};

use super::error::Failure;
use temporal_kms::support::Pkcs11Path;

/// The slot of a token.
pub(super) struct Found {
    pub(super) slot: Slot,
    pub(super) serial: String,
}

/// The result of a search for a token, if the module answered.
pub(super) enum Search {
    Found(Found),
    /// The token was not found. Other tokens may have failed to tell their names.
    Absent,
}

/// Looks for the token that `name` names. It ignores failures of other tokens, which may be broken or just being
/// removed.
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
            return Err(Failure::misconfigured(
                "several tokens have these attributes",
                "add serial=NUMBER to the URI",
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
