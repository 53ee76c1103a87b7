//! Proto-JSON for payloads: the form of remote codecs, and of `temporal … -o json`.
//!
//! Reading is lenient where real clients differ (Go's `encoding/json`, several proto-JSON libraries). It is strict
//! where leniency would let two readers see two different values. Bodies in the form that clients send are read a straight
//! way (`fast`); every other body is read by the parser that knows all forms (`read`), so the result is the same. Writing is
//! canonical and goes directly into one buffer, because this is the codec server's hot path.
//!
//! | accepted | refused |
//! |---|---|
//! | missing or `null` `payloads`, `metadata`, `data`; `{}` | an empty body, a body that is not an object |
//! | `null` as a metadata value (Go's nil `[]byte`) = empty | `null` as a payload |
//! | base64, standard or URL-safe, padded or not | other text, the two alphabets mixed |
//! | `externalPayloads[].sizeBytes`, `external_payloads[].size_bytes`, string or number | anything after the JSON |
//! | unknown fields | a known field or a metadata key that is given twice |
//! | | more than 64 metadata entries or externally stored parts in one payload |
//!
//! Errors name places by this crate's own field names and never repeat a byte of the body.

mod base64;
mod document;
mod error;
mod fast;
mod limits;
mod pieces;
mod read;
mod scan;
mod stream;
#[cfg(test)]
mod tests;
mod write;

pub use document::{Found, Places, find_payloads, replace_payloads};
pub use error::{Field, JsonError, Place, Position};
pub use fast::Last as LastMetadata;
pub use limits::Limits;
pub use pieces::BodyPieces;
pub use read::{
    parse_any_shared_payloads, parse_payload, parse_payload_list, parse_payloads,
    parse_shared_payloads_in_parts,
};
pub use scan::{FoundAt, HistoryEvent};
pub use stream::{Part, PayloadStream};
pub use write::{write_payload, write_payload_list, write_payloads};
