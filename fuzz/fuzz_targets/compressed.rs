//! Payloads that other codecs compressed: they open as another decompressor opens them, within the limit.

#![no_main]

use std::io::{self, Write};

use fuzz::{namespace, payload, wait_for};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use temporal_kms_codec::{Codec, Dek, Error, Format, Payload, PlaintextPolicy, StaticKeys};

const LIMIT: usize = 64 << 10;
const MOST_ENTRIES: usize = 1000;
const FORMATS: [(Format, &str); 3] = [
    (Format::Zlib, "binary/zlib"),
    (Format::Gzip, "binary/gzip"),
    (Format::Snappy, "binary/snappy"),
];

fuzz_target!(|input: (u8, &[u8])| {
    let (number, data) = input;
    let (format, encoding) = FORMATS[usize::from(number) % FORMATS.len()];
    let codec = Codec::builder(namespace())
        .decrypt_only()
        .decrypt_formats([format, Format::Static])
        .static_keys(StaticKeys::new().with("unused", Dek::new([0; Dek::LEN])))
        .plaintext_policy(PlaintextPolicy::Allow)
        .max_decompressed(LIMIT)
        .build()
        .expect("the settings fit together");
    let opened = wait_for(codec.decode(vec![payload(encoding, data.to_vec())]));
    let expected = decompress(format, data).and_then(|plain| content(&plain));
    match opened {
        Ok(opened) => {
            let opened = opened.into_iter().next().expect("as many as were given");
            assert!(opened.encoded_len() <= LIMIT);
            // Content can be compressed once more.
            if !is_marked(expected.as_ref()) {
                assert_eq!(Some(opened), expected);
            }
        }
        Err(Error::Payload(_)) => assert!(expected.is_none() || is_marked(expected.as_ref())),
        Err(other) => panic!("no key service is involved: {other}"),
    }
});

/// The payload, when each of its fields has the type of its message. `prost` does not look at the type of a map's entries.
fn content(plain: &[u8]) -> Option<Payload> {
    let fields = Fields::decode(plain).ok()?;
    let most = fields.metadata.len().max(fields.external.len());
    (most <= MOST_ENTRIES).then(|| Payload::decode(plain).ok())?
}

#[derive(Clone, PartialEq, Message)]
struct Fields {
    #[prost(bytes = "vec", repeated, tag = "1")]
    metadata: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    external: Vec<Vec<u8>>,
}

fn is_marked(payload: Option<&Payload>) -> bool {
    let encoding = payload.and_then(|payload| payload.metadata.get("encoding"));
    encoding.is_some_and(|encoding| encoding.starts_with(b"binary/"))
}

/// The content, when it is one stream of at most the limit and nothing follows it.
fn decompress(format: Format, data: &[u8]) -> Option<Vec<u8>> {
    match format {
        Format::Zlib => {
            let mut decoder = flate2::write::ZlibDecoder::new(Limited(Vec::new()));
            written(&mut decoder, data)?;
            (decoder.total_in() == data.len() as u64).then_some(decoder.finish().ok()?.0)
        }
        Format::Gzip => {
            let mut decoder = flate2::write::GzDecoder::new(Limited(Vec::new()));
            written(&mut decoder, data)?;
            Some(decoder.finish().ok()?.0)
        }
        _ => {
            let length = snap::raw::decompress_len(data).ok()?;
            if length > LIMIT {
                return None;
            }
            snap::raw::Decoder::new().decompress_vec(data).ok()
        }
    }
}

/// Writes all of the data. `None` where the decoder takes less.
fn written(decoder: &mut impl Write, data: &[u8]) -> Option<()> {
    decoder.write_all(data).ok()
}

struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LIMIT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
