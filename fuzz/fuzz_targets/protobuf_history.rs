//! Histories in protobuf: payloads are found by their shape, at any depth that Temporal has.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use temporal_kms_codec_server::cli::fuzzing::payloads_of;

/// Any message that holds another one.
#[derive(Clone, PartialEq, Message)]
struct Outer {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(bytes = "vec", repeated, tag = "15")]
    inner: Vec<Vec<u8>>,
}

fuzz_target!(|input: (u8, i64, &[u8], &[u8])| {
    let (depth, id, data, message) = input;
    for payload in payloads_of(message).into_iter().flatten() {
        let encoding = payload
            .metadata
            .get("encoding")
            .expect("it has an encoding");
        assert!(!encoding.is_empty() && encoding.is_ascii());
        assert!(payload.encoded_len() <= message.len());
        assert_eq!(payloads_of(&payload.encode_to_vec()), [Some(payload)]);
    }
    let payload = fuzz::payload("json/plain", data.to_vec());
    let mut wrapped = payload.encode_to_vec();
    for _ in 0..depth % 30 {
        let inner = vec![wrapped];
        wrapped = Outer { id, inner }.encode_to_vec();
    }
    assert_eq!(payloads_of(&wrapped), [Some(payload)]);
});
