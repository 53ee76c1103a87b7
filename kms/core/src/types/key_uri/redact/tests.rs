//! What is shown from texts with secrets.

use super::*;

#[test]
fn a_good_uri_is_shown_as_it_is() {
    for uri in [
        "local://default",
        "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k",
        "aws-kms://arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab",
        "awskms://alias/workflows?region=eu-west-1",
        "pkcs11:token=The%20token;object=temporal;slot-id=7",
        "http://10.0.0.1:4566/path",
    ] {
        assert_eq!(redact(uri), uri);
    }
}

#[test]
fn no_secret_is_shown_however_it_is_written() {
    for (text, shown) in [
        (
            "pkcs11:token=t;object=o?pin-value=1234",
            "pkcs11:token=t;object=o?pin-value=…",
        ),
        (
            "pkcs11:token=t;object=o;pin-value=1234",
            "pkcs11:token=t;object=o;pin-value=…",
        ),
        (
            "pkcs11:token=t;object=o&pin-value=1234",
            "pkcs11:token=t;object=…",
        ),
        (
            "pkcs11:token=t;object=o%26pin-value%3D1234",
            "pkcs11:token=t;object=…",
        ),
        ("pkcs11:token=t;object=o;1234", "pkcs11:token=t;object=o;…"),
        (
            "pkcs11:token=t?pin-value=12&34",
            "pkcs11:token=t?pin-value=…&…",
        ),
        (
            "pkcs11:token=t?pin-value=1;token=1234",
            "pkcs11:token=t?pin-value=…",
        ),
        ("pkcs11:token=t?pin%2dvalue=1234", "pkcs11:token=t?…"),
        ("PKCS11:pin-value=1234", "…"),
        ("aws-kms://AKIA:1234@alias/a", "aws-kms://…@alias/a"),
        (
            "aws-kms://alias/a?secret=1234&region=eu-west-1",
            "aws-kms://alias/a?secret=…&region=eu-west-1",
        ),
        ("gcp-kms://projects/p#token=1234", "gcp-kms://projects/p…"),
        ("local://default&password=1234", "local://default…"),
        ("https://user:1234@example.com", "https://…@example.com"),
        (
            "https://a.example/?token=1234",
            "https://a.example/?token=…",
        ),
        ("https://a.example/#1234", "https://a.example/…"),
        ("postgres://user:1234@a.example", "…"),
        ("1234", "…"),
        ("", "…"),
    ] {
        assert_eq!(redact(text), shown, "{text}");
        assert!(!redact(text).contains("1234"), "{text}");
    }
}

#[test]
fn what_is_shown_is_short_and_of_one_line() {
    let shown = redact(&format!("local://{}", "a".repeat(10_000)));
    assert!(shown.chars().count() <= MAX_SHOWN + 1);
    assert_eq!(redact("local://a\u{1b}[2Jb"), "local://a…");
    assert_eq!(redact("pkcs11:token=a\nb"), "pkcs11:token=…");
}
