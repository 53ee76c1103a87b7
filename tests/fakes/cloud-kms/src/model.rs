//! What the service keeps, and how it looks in JSON.

mod enums;
mod json;
mod key;
mod material;
mod name;
mod policy;
mod store;
mod version;

pub(crate) use enums::{Algorithm, Encoding, ProtectionLevel, Purpose, State};
pub(crate) use json::{
    Bytes, Int64, Object, encode_bytes, encode_duration, encode_int64, encode_time, parse_body,
    parse_duration,
};
pub(crate) use key::CryptoKey;
pub(crate) use material::{Material, MaterialError};
pub(crate) use name::{Name, is_resource_id};
pub(crate) use policy::{NewPolicy, Policy};
pub(crate) use store::{KeyRing, Store};
pub(crate) use version::CryptoKeyVersion;
