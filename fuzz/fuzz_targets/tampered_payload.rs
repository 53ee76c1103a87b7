//! Genuine payloads that an attacker changed: they open as what was sealed, or not at all.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use fuzz::{Edit, FixedKey, edited, namespace, wait_for};
use libfuzzer_sys::fuzz_target;
use temporal_kms_codec::{Codec, CodecBuilder, Compression, Format, Namespace, Payload};

#[derive(Arbitrary, Debug)]
struct Input {
    metadata: Vec<(String, Vec<u8>)>,
    data: Vec<u8>,
    format: u8,
    is_compressed: bool,
    edits: Vec<Edit>,
    metadata_edits: Vec<(u8, Vec<Edit>)>,
    removed: Option<u8>,
    added: Vec<(Name, Vec<u8>)>,
}

/// The names that readers look at.
#[derive(Arbitrary, Debug)]
enum Name {
    Encoding,
    Version,
    Key(u8),
    Dek(u8),
    Context,
    Other(String),
}

fuzz_target!(|input: Input| {
    let plain = Payload {
        metadata: input.metadata.iter().cloned().collect(),
        data: input.data.clone(),
        external_payloads: Vec::new(),
    };
    let format =
        [Format::Envelope, Format::EnvelopeV1, Format::Direct][usize::from(input.format) % 3];
    let codec = builder(namespace(), format, input.is_compressed);
    // Payloads that are marked as encrypted already are left as they are, or refused.
    let Ok(mut sealed) = wait_for(codec.encode(vec![plain.clone()])) else {
        return;
    };
    let sealed = sealed.pop().expect("as many as were given");
    if sealed == plain {
        return;
    }
    let opened = wait_for(codec.decode(vec![sealed.clone()]));
    assert_eq!(opened.expect("it is genuine"), [plain.clone()]);

    let elsewhere = Namespace::new("elsewhere").expect("the name is valid");
    let elsewhere = builder(elsewhere, format, false);
    let binds_namespace = sealed.metadata.contains_key("envelope-version");
    let moved = wait_for(elsewhere.decode(vec![sealed.clone()]));
    assert_eq!(moved.is_err(), binds_namespace);

    let changed = change(&sealed, &input);
    let is_data_changed = changed.data != sealed.data;
    match wait_for(builder(namespace(), format, false).decode(vec![changed])) {
        Ok(opened) => assert!(opened == [plain] && !is_data_changed),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

fn change(sealed: &Payload, input: &Input) -> Payload {
    let mut changed = sealed.clone();
    changed.data = edited(changed.data, &input.edits);
    let count = changed.metadata.len();
    for (number, edits) in &input.metadata_edits {
        if let Some(value) = changed
            .metadata
            .values_mut()
            .nth(usize::from(*number) % count)
        {
            *value = edited(std::mem::take(value), edits);
        }
    }
    if let Some(number) = input.removed {
        let name = changed
            .metadata
            .keys()
            .nth(usize::from(number) % count)
            .cloned();
        changed.metadata.remove(&name.unwrap_or_default());
    }
    let added: BTreeMap<_, _> = input
        .added
        .iter()
        .map(|(name, value)| (name.text(), value.clone()))
        .collect();
    changed.metadata.extend(added);
    changed
}

impl Name {
    fn text(&self) -> String {
        let numbered = |name: &str, number: &u8| match number % 11 {
            0 => name.to_owned(),
            number => format!("{name}.{number}"),
        };
        match self {
            Self::Encoding => "encoding".to_owned(),
            Self::Version => "envelope-version".to_owned(),
            Self::Key(number) => numbered("kms-key", number),
            Self::Dek(number) => numbered("encrypted-dek", number),
            Self::Context => "encryption-context".to_owned(),
            Self::Other(name) => name.clone(),
        }
    }
}

fn builder(namespace: Namespace, format: Format, is_compressed: bool) -> Codec {
    let builder: CodecBuilder = Codec::builder(namespace)
        .encrypt_with(FixedKey::new())
        .format(format)
        .decrypt_formats([Format::Envelope, Format::EnvelopeV1, Format::Direct])
        .max_decompressed(1 << 20);
    let builder = if is_compressed && format == Format::Envelope {
        builder.compression(Compression::Zstd {
            level: 1,
            min_bytes: 0,
        })
    } else {
        builder
    };
    builder.build().expect("the settings fit together")
}
