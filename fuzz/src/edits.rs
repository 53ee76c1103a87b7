//! Changes of genuine bytes, as an attacker makes them.

use arbitrary::Arbitrary;

/// One change. Places count from the start, and wrap around at the end.
#[derive(Arbitrary, Clone, Debug)]
pub enum Edit {
    /// Changes bits of one byte.
    Flip { at: u32, bits: u8 },
    /// Sets one byte.
    Set { at: u32, byte: u8 },
    /// Cuts the end off.
    Truncate { at: u32 },
    /// Removes some bytes.
    Remove { at: u32, len: u16 },
    /// Repeats some bytes at another place.
    Copy { from: u32, len: u16, to: u32 },
    /// Adds bytes.
    Insert { at: u32, bytes: Vec<u8> },
}

/// The bytes with these changes.
#[must_use]
pub fn edited(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        apply(&mut bytes, edit);
    }
    bytes
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    let length = bytes.len();
    let place = |at: u32| at as usize % (length + 1);
    let end = |start: usize, len: u16| (start + usize::from(len)).min(length);
    match edit {
        Edit::Flip { at, bits } => {
            if let Some(byte) = bytes.get_mut(place(*at)) {
                *byte ^= bits;
            }
        }
        Edit::Set { at, byte: new } => {
            if let Some(byte) = bytes.get_mut(place(*at)) {
                *byte = *new;
            }
        }
        Edit::Truncate { at } => bytes.truncate(place(*at)),
        Edit::Remove { at, len } => {
            let start = place(*at);
            bytes.drain(start..end(start, *len));
        }
        Edit::Copy { from, len, to } => {
            let start = place(*from);
            let copied = bytes[start..end(start, *len)].to_vec();
            let to = place(*to);
            bytes.splice(to..to, copied);
        }
        Edit::Insert { at, bytes: added } => {
            let at = place(*at);
            bytes.splice(at..at, added.iter().copied());
        }
    }
}
