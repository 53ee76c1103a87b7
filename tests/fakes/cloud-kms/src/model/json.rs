//! The proto-JSON forms of bytes, int64, time and duration.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::Value;

use crate::error::ApiError;

pub(crate) use crate::error::Object;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Bytes: base64 in either alphabet, with or without padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        let alphabet = if text.contains(['-', '_']) {
            alphabet::URL_SAFE
        } else {
            alphabet::STANDARD
        };
        GeneralPurpose::new(&alphabet, LENIENT)
            .decode(text)
            .map(Self)
            .map_err(|_| D::Error::custom("base64 decoding failed"))
    }
}

/// An int64: a string, or a number where it is small enough for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Int64(pub(crate) i64);

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let number = match Value::deserialize(input)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number
            .map(Self)
            .ok_or_else(|| D::Error::custom("not an int64"))
    }
}

/// Reads a request's body. As at the service, an unknown field is an error.
pub(crate) fn parse_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| ApiError::invalid(format!("Invalid JSON payload received. {error}")))
}

pub(crate) fn encode_bytes(bytes: &[u8]) -> Value {
    Value::from(STANDARD.encode(bytes))
}

pub(crate) fn encode_int64(number: i64) -> Value {
    Value::from(number.to_string())
}

pub(crate) fn encode_time(time: DateTime<Utc>) -> Value {
    Value::from(time.to_rfc3339_opts(SecondsFormat::Nanos, true))
}

pub(crate) fn encode_duration(duration: TimeDelta) -> Value {
    Value::from(format!("{}s", duration.num_seconds()))
}

/// `"7776000s"`. Fractions of a second are not needed.
pub(crate) fn parse_duration(field: &str, text: &str) -> Result<TimeDelta, ApiError> {
    text.strip_suffix('s')
        .and_then(|seconds| seconds.split('.').next())
        .and_then(|seconds| seconds.parse().ok())
        .and_then(TimeDelta::try_seconds)
        .ok_or_else(|| ApiError::field(field, "it is not a duration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_bytes_and_numbers() {
        for form in ["-_8=", "-_8", "+/8=", "+/8"] {
            let bytes: Bytes = serde_json::from_value(form.into()).unwrap();
            assert_eq!(bytes.0, [0xfb, 0xff], "{form}");
        }
        assert!(serde_json::from_str::<Bytes>(r#""a""#).is_err());
        for form in ["4294967295", r#""4294967295""#] {
            let number: Int64 = serde_json::from_str(form).unwrap();
            assert_eq!(number, Int64(4_294_967_295));
        }
    }

    #[test]
    fn reads_durations() {
        let days = TimeDelta::days(90);
        assert_eq!(parse_duration("f", "7776000s").unwrap(), days);
        assert_eq!(encode_duration(days), "7776000s");
        assert!(parse_duration("f", "90d").is_err());
    }
}
