//! Names of keys: what is printed is read again as the same name, and no secret of a refused name is shown.

#![no_main]

use fuzz::is_printable;
use libfuzzer_sys::fuzz_target;
use temporal_kms_codec::{KeyUri, Scheme};

const SECRET: &str = "zqzqzqzqzq";

fuzz_target!(|text: &str| {
    match text.parse::<KeyUri>() {
        Ok(key) => {
            let shown = key.to_string();
            assert!(shown.len() <= 2100 && shown.bytes().all(|byte| byte.is_ascii_graphic()));
            assert_eq!(shown.parse().as_ref(), Ok(&key));
            assert_eq!(KeyUri::new(key.scheme(), key.resource()).as_ref(), Ok(&key));
            assert!(shown.starts_with(key.scheme().as_str()));
        }
        Err(error) => assert!(is_printable(&error.to_string()), "{error}"),
    }
    for scheme in [
        Scheme::LOCAL,
        Scheme::GCP_KMS,
        Scheme::AWS_KMS,
        Scheme::PKCS11,
    ] {
        if let Ok(key) = KeyUri::new(scheme, text) {
            assert_eq!(key.to_string().parse().as_ref(), Ok(&key));
        }
    }
    redact(text);
});

/// Secrets that follow any text.
fn redact(text: &str) {
    let shown = KeyUri::redact(text);
    assert!(
        is_printable(&shown) && shown.chars().count() <= 300,
        "{shown}"
    );
    if text.contains("zq") {
        return;
    }
    for secret in [
        format!("{text};pin-value={SECRET}"),
        format!("{text}?pin-value={SECRET}"),
        format!("{text}?password={SECRET}"),
        format!("{text}&token={SECRET}"),
        format!("{text}:{SECRET}@host/key"),
    ] {
        let is_secret = secret.contains('?') || !secret.contains("&token");
        let shown = KeyUri::redact(&secret);
        assert!(!is_secret || !shown.contains(SECRET), "{secret} {shown}");
        if let Err(error) = secret.parse::<KeyUri>() {
            assert!(!error.to_string().contains(SECRET), "{secret} {error}");
        }
    }
}
