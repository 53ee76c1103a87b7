//! Ciphertext that an editor took for a value.
//!
//! The Web UI shows a payload that it could not decode as the JSON of that payload. A click on "Edit" and "Save" sends this
//! JSON as a new value. When it is encrypted, it replaces the value that could not be decoded.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use temporal_kms_codec::{PayloadExt, payload::Plain};
use temporal_kms_codec_proto::json;

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"metadata\""));

/// Whether a value is the JSON of an encrypted payload. An editor may have changed its spaces.
pub(super) fn is_shown_ciphertext(value: &[u8]) -> bool {
    let data = value.trim_ascii();
    let may_be = data.starts_with(b"{") && FINDER.find(data).is_some();
    if !may_be {
        return false;
    }
    // It can be a value like any other, so it is erased.
    let shown = json::parse_payload(data).map(Plain::new);
    shown.is_ok_and(|shown| is_sealed(&*shown))
}

/// Whether a payload is marked as encrypted.
pub(super) fn is_sealed(payload: &impl PayloadExt) -> bool {
    payload.encoding().is_some_and(is_encrypted)
}

/// The encodings of this project, and of Temporal's samples.
fn is_encrypted(encoding: &str) -> bool {
    let kind = encoding.strip_prefix("binary/");
    kind.is_some_and(|kind| kind == "encrypted" || kind.ends_with("-kms"))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use dev_servers::{Masked, own_memory_holds};
    use serde_json::json;
    use zeroize::Zeroizing;

    use super::*;

    fn value(encoding: &str, pretty: bool) -> Vec<u8> {
        let shown = json!({
            "metadata": {"encoding": STANDARD.encode(encoding), "kms-key": STANDARD.encode("local://a")},
            "data": STANDARD.encode("ciphertext"),
        });
        let text = if pretty {
            serde_json::to_string_pretty(&shown).unwrap()
        } else {
            shown.to_string()
        };
        text.into_bytes()
    }

    #[test]
    fn the_json_of_an_encrypted_payload_is_recognised() {
        for encoding in ["binary/envelope-kms", "binary/gcp-kms", "binary/encrypted"] {
            assert!(is_shown_ciphertext(&value(encoding, false)), "{encoding}");
            assert!(is_shown_ciphertext(&value(encoding, true)), "{encoding}");
        }
    }

    #[test]
    fn other_values_are_values() {
        assert!(!is_shown_ciphertext(&value("json/plain", false)));
        for other in [
            "",
            "{",
            "\"metadata\"",
            r#"{"metadata":{"encoding":"plain text"},"data":1}"#,
            r#"{"metadata":{"source":"crm"},"data":"x"}"#,
            r#"[{"metadata":{"encoding":"YmluYXJ5L2VuY3J5cHRlZA=="}}]"#,
        ] {
            assert!(!is_shown_ciphertext(other.as_bytes()), "{other}");
        }
    }

    /// What was freed and not erased stays in memory for a while. Allocators write at its ends, so the secret is in its middle.
    #[test]
    fn no_copy_of_a_value_is_left_in_memory() {
        const FILLER: [u8; 400] = [b'-'; 400];

        let secret = Masked::of((0..40).map(|at: u8| at.wrapping_mul(83) ^ 0x35));
        let mut data = Zeroizing::new(Vec::<u8>::with_capacity(3 * FILLER.len()));
        data.extend(FILLER);
        data.extend(secret.bytes());
        data.extend(FILLER);
        let shown = json!({"metadata": {"note": "bm90ZQ=="}, "data": STANDARD.encode(&*data)});
        let value = shown.to_string();
        assert!(own_memory_holds(&secret).unwrap());
        drop(data);
        assert!(!own_memory_holds(&secret).unwrap());
        assert!(!is_shown_ciphertext(value.as_bytes()));
        assert!(!own_memory_holds(&secret).unwrap(), "it is still in memory");
    }
}
