//! Headers that the servers read themselves: proofs of callers, cookies, and the place in a trace.

#![no_main]

use fuzz::is_printable;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use temporal_kms_codec_service::{
    auth::{AUTHORIZATION_EXTRAS, Presented},
    telemetry::RequestSpan,
};

const SESSION: &str = "__Host-codec-session";

fuzz_target!(|lines: Vec<(u8, &[u8])>| {
    let names = [
        http::header::AUTHORIZATION,
        AUTHORIZATION_EXTRAS,
        http::header::COOKIE,
        HeaderName::from_static("traceparent"),
    ];
    let mut headers = HeaderMap::new();
    for (number, value) in lines {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(names[usize::from(number) % names.len()].clone(), value);
        }
    }
    let count = |name: &HeaderName| headers.get_all(name).iter().count();
    let is_repeated = count(&names[0]) > 1 || count(&names[1]) > 1 || sessions(&headers) > 1;
    match Presented::in_headers(&headers) {
        Ok(presented) => {
            assert!(!is_repeated);
            let shown = format!("{presented:?}");
            assert!(
                shown.contains(&format!("session: {}", sessions(&headers) == 1)),
                "{shown}"
            );
        }
        Err(refused) => {
            assert!(is_repeated);
            assert!(refused.status().is_client_error() && is_printable(&refused.to_string()));
        }
    }
    let span = RequestSpan::new(&"fuzz", &headers);
    if let Some(id) = span.trace_id() {
        let mut given = headers.get_all("traceparent").iter();
        let value = given.next().expect("no trace is begun here");
        assert!(given.next().is_none());
        let text = value.to_str().expect("it is text");
        assert_eq!(text.split('-').nth(1), Some(id));
        assert!(id.len() == 32 && id.bytes().any(|digit| digit != b'0'));
    }
});

fn sessions(headers: &HeaderMap) -> usize {
    let cookies = headers.get_all(http::header::COOKIE).iter();
    let texts = cookies.filter_map(|value| value.to_str().ok());
    let names = texts.flat_map(|text| text.split(';').filter_map(|pair| pair.split_once('=')));
    names
        .filter(|(name, _)| name.trim_start() == SESSION)
        .count()
}
