//! Sealed streams and values that an attacker changed: a stream gives a part of the plaintext and then an error, never other
//! bytes.

#![no_main]

use arbitrary::Arbitrary;
use fuzz::{Edit, FixedKey, edited, wait_for};
use libfuzzer_sys::fuzz_target;
use temporal_kms_codec::{DataEnvelope, EncryptionContext, Sealer};

const CHUNK: usize = 64 << 10;

#[derive(Arbitrary, Debug)]
struct Input {
    length: u8,
    byte: u8,
    edits: Vec<Edit>,
    from_the_end: Vec<Edit>,
    stream: Vec<u8>,
    envelope: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let sealer = Sealer::builder().encrypt_with(FixedKey::new()).build();
    let sealer = sealer.expect("the settings fit together");
    let plain = vec![input.byte; length(input.length)];
    let mut sealed = Vec::new();
    let written = wait_for(sealer.seal_file(&*plain, &mut sealed, &context("a")));
    assert_eq!(written.expect("it can be sealed"), plain.len() as u64);

    let (opened, whole) = open(&sealer, &sealed, "a");
    assert!(whole && opened == plain);
    let (opened, whole) = open(&sealer, &sealed, "b");
    assert!(!whole && opened.is_empty());

    let changed = edited(sealed.clone(), &input.edits);
    let changed = reversed(edited(reversed(changed), &input.from_the_end));
    let (opened, whole) = open(&sealer, &changed, "a");
    assert!(plain.starts_with(&opened));
    assert_eq!(whole, changed == sealed);

    let (opened, whole) = open(&sealer, &input.stream, "a");
    assert!(!whole && opened.is_empty());
    value(&sealer, &input);
});

/// Short lengths, and some around those of whole chunks.
fn length(number: u8) -> usize {
    match number {
        0..200 => usize::from(number),
        _ => (CHUNK * usize::from(number % 3) + usize::from(number / 5 % 5)).saturating_sub(2),
    }
}

fn reversed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

fn context(value: &str) -> EncryptionContext {
    let pairs = [("file".to_owned(), value.to_owned())];
    EncryptionContext::new(pairs.into()).expect("one pair is not too much")
}

/// What was written, and whether the stream was whole.
fn open(sealer: &Sealer, sealed: &[u8], value: &str) -> (Vec<u8>, bool) {
    let mut opened = Vec::new();
    let result = wait_for(sealer.open_file(sealed, &mut opened, &context(value)));
    if let Ok(length) = result {
        assert_eq!(length, opened.len() as u64);
    }
    (opened, result.is_ok())
}

fn value(sealer: &Sealer, input: &Input) {
    let envelope = wait_for(sealer.seal(&input.stream, &context("a")));
    let genuine = envelope.expect("it can be sealed");
    let opened = wait_for(sealer.open(&genuine, &context("a")));
    assert_eq!(*opened.expect("it is genuine"), input.stream);
    let json = serde_json::to_vec(&genuine).expect("it has a form in JSON");
    assert_eq!(
        serde_json::from_slice::<DataEnvelope>(&json).expect("it is JSON"),
        genuine
    );
    let changed = edited(json, &input.edits);
    for json in [&changed, &input.envelope] {
        let Ok(envelope) = serde_json::from_slice::<DataEnvelope>(json) else {
            continue;
        };
        let opened = wait_for(sealer.open(&envelope, &context("a")));
        assert_eq!(opened.is_ok(), envelope == genuine);
    }
}
