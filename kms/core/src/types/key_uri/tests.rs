//! Valid and invalid names of keys.

use super::*;

#[test]
fn round_trips_every_form() {
    for uri in [
        "local://default",
        "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k",
        "aws-kms://arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "aws-kms://alias/workflows",
        "aws-kms://alias/workflows?region=eu-west-1",
        "aws-kms://mrk-1234abcd12ab34cd56ef1234567890ab",
        "pkcs11:token=prod;object=temporal",
    ] {
        assert_eq!(uri.parse::<KeyUri>().unwrap().to_string(), uri);
    }
}

#[test]
fn go_cdk_forms_become_the_canonical_ones() {
    let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
    for (go_cdk, canonical) in [
        (
            "awskms:///arn:aws:kms:us-east-1:1:key/k",
            "aws-kms://arn:aws:kms:us-east-1:1:key/k",
        ),
        (
            "awskms:///arn:aws:kms:us-east-1:1:alias/a?region=us-east-1",
            "aws-kms://arn:aws:kms:us-east-1:1:alias/a",
        ),
        (
            "awskms://alias/a?region=us-east-1",
            "aws-kms://alias/a?region=us-east-1",
        ),
        ("awskms://alias/a", "aws-kms://alias/a"),
        (
            &format!("awskms://{id}?region=us-east-1"),
            &format!("aws-kms://{id}?region=us-east-1"),
        ),
        (
            "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
            "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
        ),
    ] {
        let key: KeyUri = go_cdk.parse().unwrap();
        assert_eq!(key.to_string(), canonical);
        assert_eq!(canonical.parse::<KeyUri>().unwrap(), key);
    }
}

#[test]
fn a_query_is_refused_by_the_names_of_its_parameters() {
    for (uri, reason) in [
        (
            "awskms://alias/a?awssdk=sEcReT&region=us-east-1",
            "`awssdk`",
        ),
        (
            "awskms://alias/a?region=us-east-1&context_env=sEcReT",
            "`context_env`",
        ),
        ("awskms://alias/a?sEcReT", "region=REGION only"),
        ("awskms://alias/a?region=sEcReT", "such as eu-west-1"),
        (
            "aws-kms://arn:aws:kms:us-east-1:1:key/k?region=eu-west-1",
            "region of its ARN",
        ),
        (
            "aws-kms://arn:aws:kms:us-east-1:1:key/k?token=sEcReT",
            "`token`",
        ),
        (
            "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k?key=sEcReT",
            "`key`",
        ),
        ("local://default?password=sEcReT", "`password`"),
        ("pkcs11:token=t;object=o?pin-value=sEcReT", "configuration"),
        ("pkcs11:token=t;object=o;pin-value=sEcReT", "RFC 7512"),
        ("pkcs11:token=t;object=o&pin-value=sEcReT", "percent-encode"),
        ("https://user:sEcReT@example.com", "starts with none"),
        ("sEcReT", "starts with none"),
        ("local://sEcReT/..", "the form is"),
        ("aws-kms://AKIA:sEcReT@alias/a", "the form is"),
        (
            "gcp-kms://user:sEcReT@projects/p/locations/l/keyRings/r/cryptoKeys/k",
            "the form is",
        ),
    ] {
        let error = uri.parse::<KeyUri>().unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(reason), "{uri}: {shown}");
        assert!(!shown.contains("sEcReT"), "{uri}: {shown}");
    }
}

#[test]
fn a_service_that_is_not_known_here_has_names_too() {
    let uri = "vault://transit/payloads:1";
    let key: KeyUri = uri.parse().unwrap();
    assert_eq!(
        (key.scheme().as_str(), key.resource()),
        ("vault", "transit/payloads:1")
    );
    assert_eq!(key.to_string(), uri);
    for bad in [
        "vault://",
        "vault:transit",
        "vault://a?token=sEcReT",
        "vault://user:sEcReT@host/key",
        "vault://a#sEcReT",
        "vault://a b",
        "Vault://a",
        "file:///etc/passwd",
    ] {
        let error = bad.parse::<KeyUri>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sEcReT"), "{bad}");
    }
}

#[test]
fn one_object_of_a_token_has_one_name() {
    let key: KeyUri = "pkcs11:object=a,b;token=%70rod".parse().unwrap();
    assert_eq!(key.to_string(), "pkcs11:token=prod;object=a%2Cb");
}

#[test]
fn refuses_names_that_leave_the_folder_or_pin_a_version() {
    for bad in [
        "",
        "default",
        "local://",
        "local://../etc/passwd",
        "local://a/b",
        "local://.hidden",
        "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
        "gcp-kms://projects//locations/l/keyRings/r/cryptoKeys/k",
        "aws-kms://key",
        "aws-kms://alias/a b",
        "aws-kms://alias/a?region=",
        "aws-kms://alias/a?region=-evil.example",
        "aws-kms://alias/a@b",
        "aws-kms://mrk-1234",
        "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k#x",
        "gcp-kms://projects/p@q/locations/l/keyRings/r/cryptoKeys/k",
        "pkcs11:",
        "pkcs11:token=a b",
        "pkcs11:token=prod;object=temporal?pin-source=file:/run/pin",
        "https://example.com",
    ] {
        assert!(bad.parse::<KeyUri>().is_err(), "{bad}");
    }
}
