//! Properties.

use proptest::{collection, prelude::*};

use super::*;
use crate::{json::write::body_len, payload::ExternalPayloadDetails};

fn any_payload() -> impl Strategy<Value = Payload> {
    let bytes = || collection::vec(any::<u8>(), 0..100);
    let external = any::<i64>().prop_map(|size_bytes| ExternalPayloadDetails { size_bytes });
    (
        collection::btree_map(any::<String>(), bytes(), 0..5),
        bytes(),
        collection::vec(external, 0..3),
    )
        .prop_map(|(metadata, data, external_payloads)| Payload {
            metadata,
            data,
            external_payloads,
        })
}

proptest! {
    #[test]
    fn round_trip(payloads in collection::vec(any_payload(), 0..4)) {
        let limits = Limits { max_payloads: 4 };
        let written = write_payloads(&payloads);
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&written).is_ok());
        prop_assert_eq!(parse_payloads(&written, &limits).map(|all| all.payloads), Ok(payloads.clone()));
        prop_assert_eq!(parse_payload_list(&write_payload_list(&payloads), &limits), Ok(payloads));
    }

    /// The names are escaped.
    #[test]
    fn no_buffer_grows(
        names in collection::vec("[\u{0}-\u{30}\\\\]{0,40}", 0..5),
        value in collection::vec(any::<u8>(), 0..9),
        payloads in collection::vec(any_payload(), 0..4),
    ) {
        let mut payloads = payloads;
        payloads.push(Payload {
            metadata: names.into_iter().map(|name| (name, value.clone())).collect(),
            ..Payload::default()
        });
        prop_assert_eq!(write_payloads(&payloads).len(), body_len(&payloads));
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_payloads(&body, &LIMITS);
        let _ = parse_payload(&body);
        let _ = find_payloads(&body, &LIMITS);
    }

    /// JSON-shaped noise gets further into the parser than plain noise does.
    #[test]
    fn json_like_noise_never_panics(
        parts in collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"payloads\"", "\"metadata\"", "\"data\"", "\"encoding\"",
            "\"externalPayloads\"", "\"sizeBytes\"", "null", "\"QQ==\"", "1", "\"\\u0000\"", "\\", "\"",
        ]), 0..40)
    ) {
        let body: String = parts.concat();
        let _ = parse_payloads(body.as_bytes(), &LIMITS);
        let _ = parse_payload(body.as_bytes());
        let _ = find_payloads(body.as_bytes(), &LIMITS);
    }

    #[test]
    fn no_byte_of_the_body_is_in_an_error(secret in "[g-z]{12}", template in 0usize..8) {
        let body = [
            format!(r#"{{"payloads":"{secret}"}}"#),
            format!(r#"{{"payloads":["{secret}"]}}"#),
            format!(r#"{{"payloads":[{{"data":"{secret}="}}]}}"#),
            format!(r#"{{"payloads":[{{"metadata":{{"{secret}":3}}}}]}}"#),
            format!(r#"{{"payloads":[{{"metadata":{{"{secret}":"","{secret}":""}}}}]}}"#),
            format!(r#"{{"payloads":[]}}{secret}"#),
            format!(r#"{{"payloads":[{secret}]}}"#),
            format!(r#"{{"payloads":[{{"externalPayloads":[{{"sizeBytes":"{secret}"}}]}}]}}"#),
        ][template].clone();
        let error = parse(&body).expect_err("refused");
        let shown = format!("{error} {error:?}");
        prop_assert!(!shown.contains(&secret), "{}", shown);
    }
}
