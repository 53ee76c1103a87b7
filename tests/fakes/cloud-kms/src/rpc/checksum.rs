use serde_json::Value;

use crate::{
    error::ApiError,
    model::{Bytes, Int64, Object, encode_bytes, encode_int64},
};

/// Verifies the checksum of a request. Returns whether the request had one, which the answer must tell.
pub(super) fn verify(field: &str, data: &Bytes, checksum: Option<Int64>) -> Result<bool, ApiError> {
    match checksum {
        None => Ok(false),
        Some(Int64(sent)) if sent == crc32c(&data.0) => Ok(true),
        Some(_) => Err(mismatch(field)),
    }
}

/// The service's answer when data were damaged in transit.
pub(crate) fn mismatch(field: &str) -> ApiError {
    ApiError::field(
        &format!("{field}_crc32c"),
        format!("The checksum in field {field}_crc32c did not match the data in field {field}."),
    )
}

/// Adds data and their checksum to an answer. Empty data are left out, their checksum is not.
pub(super) fn insert(answer: &mut Object, field: &str, data: &[u8]) {
    if !data.is_empty() {
        answer.insert(field.to_owned(), encode_bytes(data));
    }
    insert_checksum(answer, field, data);
}

pub(super) fn insert_checksum(answer: &mut Object, field: &str, data: &[u8]) {
    answer.insert(format!("{field}Crc32c"), encode_int64(crc32c(data)));
}

/// Adds a flag, which is left out when it is false.
pub(super) fn insert_flag(answer: &mut Object, field: &str, flag: bool) {
    if flag {
        answer.insert(field.to_owned(), Value::Bool(true));
    }
}

fn crc32c(data: &[u8]) -> i64 {
    crc32c::crc32c(data).into()
}
