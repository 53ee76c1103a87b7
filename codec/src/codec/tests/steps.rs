//! What one call may decompress, and when a call lets other tasks run.

use std::{future::poll_fn, pin::pin};

use super::*;

const MIB: usize = 1 << 20;

/// Ends some work, and counts how often it let other tasks run.
async fn pauses<T>(work: impl Future<Output = T>) -> (usize, T) {
    let mut work = pin!(work);
    let mut polls = 0;
    let done = poll_fn(|context| {
        polls += 1;
        work.as_mut().poll(context)
    })
    .await;
    (polls - 1, done)
}

/// A codec whose data key is in memory.
async fn warm(builder: CodecBuilder) -> (TempDir, Codec) {
    let (folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let codec = builder.encrypt_with(key).build().unwrap();
    seal(&codec, "1").await;
    (folder, codec)
}

/// Bytes that repeat themselves after 100,000 bytes.
fn text(len: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'a' + (state >> 60).to_le_bytes()[0])
    };
    let part: Vec<char> = (0..100_000).map(|_| next()).collect();
    part.into_iter().cycle().take(len).collect()
}

#[tokio::test]
async fn small_batches_are_sealed_in_one_step() {
    for format in [Format::Envelope, Format::EnvelopeV1] {
        let (_folder, codec) = warm(builder("n").format(format)).await;
        for batch in [payloads(1), payloads(100), vec![payload(&text(MIB / 2))]] {
            let (paused, sealed) = pauses(codec.encode(batch)).await;
            sealed.unwrap();
            assert_eq!(paused, 0, "{format:?}");
        }
    }
}

#[tokio::test]
async fn large_batches_are_sealed_in_steps_of_a_mebibyte() {
    for format in [Format::Envelope, Format::EnvelopeV1] {
        let (_folder, codec) = warm(builder("n").format(format)).await;
        let batch = vec![payload(&text(MIB)); 4];
        let (paused, sealed) = pauses(codec.encode(batch.clone())).await;
        assert_eq!(paused, 3, "{format:?}");
        assert_eq!(codec.decode(sealed.unwrap()).await.unwrap(), batch);
        // Small payloads cost more than their bytes.
        let (paused, sealed) = pauses(codec.encode(payloads(2000))).await;
        sealed.unwrap();
        assert!((1..=4).contains(&paused), "{format:?}: {paused}");
    }
}

#[tokio::test]
async fn payloads_keep_their_places_where_some_are_sealed_already() {
    let (_folder, codec) = warm(builder("n")).await;
    let large = payload(&text(MIB));
    let sealed = codec.encode(payloads(2)).await.unwrap();
    let mixed = vec![
        large.clone(),
        sealed[0].clone(),
        large.clone(),
        sealed[1].clone(),
        large.clone(),
    ];
    let (paused, encoded) = pauses(codec.encode(mixed)).await;
    assert!(paused >= 2, "{paused}");
    let encoded = encoded.unwrap();
    assert_eq!((&encoded[1], &encoded[3]), (&sealed[0], &sealed[1]));
    let [first, second] = <[Payload; 2]>::try_from(payloads(2)).unwrap();
    let expected = [large.clone(), first, large.clone(), second, large];
    assert_eq!(codec.decode(encoded).await.unwrap(), expected);
}

#[cfg(feature = "zstd")]
#[tokio::test]
async fn a_large_payload_is_compressed_in_steps() {
    for (level, len, least) in [
        (3, 3 * MIB, 3),
        (9, 300 << 10, 2),
        (19, 256 << 10, 8),
        (19, 20 << 10, 0),
    ] {
        let compression = Compression::Zstd {
            level,
            min_bytes: 0,
        };
        let (_folder, codec) = warm(builder("n").compression(compression)).await;
        let large = payload(&text(len));
        let (paused, sealed) = pauses(codec.encode(vec![large.clone()])).await;
        assert!((least..=least + 1).contains(&paused), "{level}: {paused}");
        let sealed = sealed.unwrap();
        assert!(sealed[0].data.len() < len);
        assert_eq!(codec.decode(sealed).await.unwrap(), [large]);
    }
}

#[cfg(feature = "zstd")]
#[tokio::test]
async fn many_payloads_are_compressed_in_steps() {
    let compression = Compression::Zstd {
        level: 19,
        min_bytes: 0,
    };
    let (_folder, codec) = warm(builder("n").compression(compression)).await;
    let batch = vec![payload(&text(16 << 10)); 10];
    let (paused, sealed) = pauses(codec.encode(batch.clone())).await;
    // Each 32 KiB are a step.
    assert!((4..=9).contains(&paused), "{paused}");
    assert_eq!(codec.decode(sealed.unwrap()).await.unwrap(), batch);
}

/// Sealed by a codec with a larger limit.
#[cfg(feature = "zstd")]
#[tokio::test]
async fn an_envelope_that_is_too_large_for_any_call_costs_nothing() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let build = |builder: CodecBuilder| builder.encrypt_with(key.clone()).build().unwrap();
    let writer = build(builder("n").compression(Compression::Zstd {
        level: 3,
        min_bytes: 0,
    }));
    let limit = 3 * MIB / 2 + 1000;
    let small = builder("n").max_decompressed(MIB);
    let reader = build(small.max_decompressed_total(limit));
    let large = seal(&writer, &text(2 * MIB)).await;
    let half = seal(&writer, &text(MIB / 2)).await;
    // From now on the data key is known.
    reader.decode(vec![half.clone()]).await.unwrap();

    let given = [&large, &half, &large, &half, &half, &half, &large];
    let decoded = reader.decode_each(given.map(Clone::clone).into()).await;
    for (index, result) in decoded.into_iter().enumerate() {
        match (index, result) {
            (1 | 3 | 4, Ok(_)) => {}
            (5, Err(Error::Payload(error))) => {
                assert_eq!(error, PayloadError::TooLargeTogether { limit });
            }
            (_, Err(Error::Payload(PayloadError::TooLarge { limit, .. }))) => {
                assert_eq!(limit, MIB, "{index}");
            }
            (_, other) => panic!("{index}: {other:?}"),
        }
    }
}

#[test]
fn the_limit_of_a_call_is_at_least_a_gibibyte() {
    let (_folder, keyring) = keyring();
    let key = keyring.key_or_create("k").unwrap();
    let limit = |builder: CodecBuilder| {
        let codec = builder.encrypt_with(key.clone()).build().unwrap();
        codec.0.max_decompressed_total
    };
    assert_eq!(limit(builder("n")), 1 << 30);
    assert_eq!(limit(builder("n").max_decompressed(1000)), 1 << 30);
    assert_eq!(limit(builder("n").max_decompressed(128 * MIB)), 2 << 30);
    assert_eq!(limit(builder("n").max_decompressed_total(7)), 7);
}

#[cfg(feature = "decompression")]
mod of_other_codecs {
    use std::{io::Write as _, num::NonZeroUsize};

    use futures::{FutureExt as _, poll};
    use prost::Message as _;
    use tokio::task::yield_now;

    use super::*;
    use crate::codec::turns::CompressionTurns;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn marked(data: Vec<u8>) -> Payload {
        Payload {
            metadata: [("encoding".to_owned(), b"binary/gzip".to_vec())].into(),
            data,
            external_payloads: vec![],
        }
    }

    /// A field of a payload that is unknown, which has `len` bytes with its key and its length.
    fn unknown_field(len: usize) -> Vec<u8> {
        let content = len - 5;
        // The field 15, with its length before it.
        let mut field = vec![0x7a_u8];
        prost::encoding::encode_varint(content as u64, &mut field);
        field.resize(len, 0);
        // The length takes four bytes.
        assert_eq!(field.iter().position(|byte| *byte == 0), Some(5));
        field
    }

    /// Content in two layers, which becomes nothing.
    fn nothing() -> Payload {
        let inner = marked(gzip(&unknown_field(4 * MIB)));
        marked(gzip(&inner.encode_to_vec()))
    }

    fn reader() -> CodecBuilder {
        builder("n")
            .decrypt_formats([Format::Envelope, Format::Gzip])
            .plaintext_policy(PlaintextPolicy::Allow)
            .max_decompressed(4 * MIB)
    }

    fn is_exhausted(result: &Result<Payload, Error>, expected: usize) -> bool {
        match result {
            Err(Error::Payload(PayloadError::TooLargeTogether { limit })) => {
                assert_eq!(*limit, expected);
                true
            }
            _ => false,
        }
    }

    #[tokio::test]
    async fn layers_that_become_nothing_are_counted() {
        let (_folder, codec) = warm(reader().max_decompressed_total(14 * MIB)).await;
        assert!(nothing().data.len() < 1000, "a small request");
        let (paused, decoded) = pauses(codec.decode_each(vec![nothing(); 6])).await;
        assert!(paused >= 12, "{paused}");
        for (index, result) in decoded.iter().enumerate() {
            assert_eq!(is_exhausted(result, 14 * MIB), index >= 3, "{result:?}");
        }
        assert_eq!(decoded[0].as_ref().unwrap(), &Payload::default());
        // Each call has the whole limit.
        codec.decode(vec![nothing(); 3]).await.unwrap();
    }

    #[tokio::test]
    async fn layers_that_fail_are_counted() {
        let (_folder, codec) = warm(reader().max_decompressed_total(14 * MIB)).await;
        let too_large = marked(gzip(&vec![0; 4 * MIB + 1]));
        let mut broken = marked(gzip(&unknown_field(4 * MIB)));
        *broken.data.last_mut().unwrap() ^= 1;
        for payload in [too_large, broken] {
            let decoded = codec.decode_each(vec![payload; 6]).await;
            for (index, result) in decoded.iter().enumerate() {
                assert!(result.is_err());
                assert_eq!(is_exhausted(result, 14 * MIB), index >= 3, "{result:?}");
            }
        }
    }

    #[tokio::test]
    async fn compressed_data_that_were_compressed_count_more() {
        // Stored blocks without content: a member of 1 MB that becomes nothing.
        let empty = [0, 0, 0, 0xff, 0xff].repeat(200_000);
        let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        let member = [&head[..], &empty, &[3, 0], &[0; 8]].concat();
        let (_folder, codec) = warm(reader().max_decompressed_total(20 * MIB)).await;
        let sent = vec![marked(member.clone()); 3];
        for result in codec.decode_each(sent).await {
            assert_eq!(result.unwrap(), Payload::default());
        }
        let nested = marked(gzip(&marked(member).encode_to_vec()));
        let (paused, decoded) = pauses(codec.decode_each(vec![nested; 2])).await;
        assert!(paused >= 12, "{paused}");
        decoded[0].as_ref().unwrap();
        assert!(is_exhausted(&decoded[1], 20 * MIB));
    }

    #[tokio::test]
    async fn honest_data_that_were_compressed_twice_count_as_what_they_become() {
        let mut state = 1_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        };
        let random = Payload {
            data: (0..MIB).map(|_| random()).collect(),
            ..Payload::default()
        };
        let (_folder, codec) = warm(reader().max_decompressed_total(9 * MIB / 2)).await;
        // Deflate halves the first one, and makes the second a little longer.
        for honest in [payload(&text(MIB)), random] {
            let inner = marked(gzip(&honest.encode_to_vec()));
            let nested = marked(gzip(&inner.encode_to_vec()));
            let sent = vec![nested; 2];
            let decoded = codec.decode(sent).await.unwrap();
            assert_eq!(decoded, [honest.clone(), honest]);
        }
    }

    #[tokio::test]
    async fn a_decoder_counts_over_all_its_steps() {
        let (_folder, codec) = warm(reader()).await;
        let decoder = codec.decoder().with_max_decompressed_total(10 * MIB);
        for _ in 0..2 {
            decoder.decode(nothing()).await.unwrap();
        }
        let refused = decoder.decode(nothing()).await;
        assert!(is_exhausted(&refused, 10 * MIB));
        // Payloads that are not compressed are decoded all the same.
        let sealed = seal(&codec, "1").await;
        assert_eq!(decoder.decode(sealed).await.unwrap(), payload("1"));
    }

    #[cfg(feature = "zstd")]
    #[tokio::test]
    async fn an_envelope_that_becomes_nothing_is_counted() {
        use crate::codec::message::BatchSealer;

        let (_folder, codec) = warm(reader().max_decompressed_total(14 * MIB)).await;
        let active = &codec.encryption().unwrap().active_v2;
        let key = active.acquire(1, 1).await.unwrap();
        let frame = zstd::bulk::compress(&unknown_field(4 * MIB), 3).unwrap();
        let mut batch = BatchSealer::new(&key.data_key, active.context(), 1);
        let sealed = batch.seal_with(&mut Payload::default(), Some(frame.into()));
        let sealed = Payload {
            data: sealed.unwrap().into_vec(),
            metadata: (*key.metadata).clone(),
            external_payloads: vec![],
        };
        // The key need not be asked for.
        codec.decode(vec![sealed.clone()]).await.unwrap();
        let (paused, decoded) = pauses(codec.decode_each(vec![sealed; 6])).await;
        // The fourth tells that it does not fit.
        assert!(paused >= 10, "{paused}");
        for (index, result) in decoded.iter().enumerate() {
            assert_eq!(is_exhausted(result, 14 * MIB), index >= 3, "{result:?}");
        }
    }

    #[tokio::test]
    async fn a_large_payload_waits_for_its_turn_and_a_small_one_does_not() {
        let turns = CompressionTurns::new(NonZeroUsize::MIN);
        let (_folder, codec) = warm(reader().compression_turns(&turns)).await;
        let large = || codec.decode(vec![nothing()]);
        let small = || codec.decode(vec![marked(gzip(&payload("1").encode_to_vec()))]);

        let held = turns.decompressing().await;
        let mut waiting = Box::pin(large());
        for _ in 0..100 {
            assert!(poll!(waiting.as_mut()).is_pending());
            yield_now().await;
        }
        assert_eq!(small().await.unwrap(), [payload("1")]);
        drop(held);
        waiting.await.unwrap();
        // One turn is enough for any number of calls.
        let all = futures::future::join_all([large(), large(), large()]).await;
        assert!(all.iter().all(Result::is_ok));
    }

    /// An envelope of an unknown data key within gzip. It has `len` bytes of data.
    async fn within_gzip(codec: &Codec, len: usize) -> Payload {
        let mut envelope = seal(codec, "1").await;
        let dek = envelope.metadata.get_mut("encrypted-dek").unwrap();
        dek.extend(len.to_be_bytes());
        envelope.data = vec![0; len];
        envelope.data[0] = 2;
        marked(gzip(&envelope.encode_to_vec()))
    }

    fn is_taken(turns: &CompressionTurns) -> bool {
        turns.decompressing().now_or_never().is_none()
    }

    #[tokio::test]
    async fn a_large_payload_keeps_its_turn_while_it_waits_for_a_key_service() {
        let key = FaultyKey::new("k");
        let turns = CompressionTurns::new(NonZeroUsize::MIN);
        let codec = reader().compression_turns(&turns).encrypt_with(key.clone());
        let codec = codec.build().unwrap();
        let small = within_gzip(&codec, 32 << 10).await;
        let large = within_gzip(&codec, 3 * MIB).await;
        for (payload, is_large) in [(small, false), (large, true)] {
            key.always_for(&[Operation::Unwrap], Answer::Stalls);
            let calls = key.calls_of(Operation::Unwrap);
            let given = vec![payload, nothing(), nothing()];
            let mut decoding = Box::pin(codec.decode_each(given));
            while key.calls_of(Operation::Unwrap) == calls {
                assert!(poll!(decoding.as_mut()).is_pending());
                yield_now().await;
            }
            // The others of the call end if they can.
            for _ in 0..100 {
                assert!(poll!(decoding.as_mut()).is_pending());
                yield_now().await;
            }
            assert_eq!(is_taken(&turns), is_large);
            key.recover();
            let decoded = decoding.await;
            assert!(decoded[0].is_err());
            assert!(decoded[1..].iter().all(Result::is_ok));
            assert!(!is_taken(&turns));
        }
    }
}
