//! Reads what a workflow gets from outside. Any payload can be read: an error would fail the workflow task, and Temporal would
//! repeat it without end.

use serde_json::Value;
use temporalio_common::{
    data_converters::{
        ErasedSerdePayloadConverter, PayloadConversionError, SerializationContext,
        TemporalDeserializable as _,
    },
    protos::temporal::api::common::v1::Payload,
};

/// The JSON value of a payload. Null when it is not one JSON value, or is nested too deeply.
pub(super) fn value(
    converter: &dyn ErasedSerdePayloadConverter,
    context: &SerializationContext<'_>,
    payload: Payload,
) -> Value {
    Value::from_serde(converter, context, payload).unwrap_or_default()
}

/// The value for no payload, or for several.
///
/// # Errors
/// When there is one payload. The converter then reads it with `from_serde`.
pub(super) fn default_unless_single<T: Default>(
    payloads: &[Payload],
) -> Result<T, PayloadConversionError> {
    if payloads.len() == 1 {
        return Err(PayloadConversionError::WrongEncoding);
    }
    Ok(T::default())
}
