//! What a payload says of itself in the clear: its format, keys, versions and namespace. Nothing is decrypted.

use temporal_kms::support::{NAMESPACE, SecretVec, shown};

use crate::{
    KeyUri, Payload, PayloadError, PayloadExt as _, Scheme,
    format::{Marker, Parsed, envelope_v2, vault_transit},
    kms,
    payload::Plain,
    types::Recipient,
};

/// Characters of a name that are shown.
const MAX_NAME: usize = 2048;

/// What a payload says of itself in the clear. None of it is authentic, and every text is safe to print.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The format, such as `envelope`, by the names of [`Format`](crate::Format). `vault-transit` and `unknown-version` are
    /// formats that no codec of this version opens. `None` for a payload that is not marked as encrypted or compressed.
    pub format: Option<&'static str>,
    /// The `encoding`.
    pub encoding: Option<String>,
    /// The keys that can open the payload. Each suffices.
    pub keys: Vec<InspectedKey>,
    /// The namespace that the payload is bound to, for formats that bind one.
    pub namespace: Option<String>,
    /// The length of `data` in bytes.
    pub len: usize,
    /// Why the payload cannot be opened with any key.
    pub fault: Option<PayloadError>,
}

/// A key that a payload names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct InspectedKey {
    /// The URI of a key-encryption key, or `static:ID` for a static key. `None` where the payload does not name its key.
    pub name: Option<String>,
    /// The version of the key, where the ciphertext tells it. The ciphertexts of Google Cloud KMS and AWS KMS do not.
    pub version: Option<String>,
}

impl Inspection {
    /// Looks at a payload.
    #[must_use]
    pub fn of(payload: &Payload) -> Self {
        let mut inspection = Self {
            encoding: payload.encoding().map(|encoding| shown(encoding, 64)),
            len: payload.data.len(),
            ..Self::default()
        };
        let Some(marker) = Marker::of(payload) else {
            return inspection;
        };
        inspection.format = Some(match (marker, marker.format()) {
            (_, Ok(format)) => format.as_str(),
            (Marker::VaultTransit, _) => "vault-transit",
            (_, Err(_)) => "unknown-version",
        });
        if marker == Marker::VaultTransit {
            inspection.keys = vec![of_vault(payload)];
        }
        match marker.parse(Plain::new(head_of(payload))) {
            Ok(parsed) => inspection.take(&parsed),
            Err(fault) => inspection.fault = Some(fault),
        }
        inspection
    }

    /// The names of the keys that [`of`](Self::of) tells. It takes a fraction of the time, and looks at the metadata only where
    /// the format allows it.
    #[must_use]
    pub fn key_names(payload: &Payload) -> Vec<String> {
        if Marker::of(payload) == Some(Marker::EnvelopeV2) {
            let entry = |name: &str| payload.metadata.get(name).cloned().map(SecretVec::from);
            let named = envelope_v2::named_in(entry);
            let recipients = named.map(|(recipients, _)| recipients).unwrap_or_default();
            return recipients
                .iter()
                .map(|recipient| recipient.key.to_string())
                .collect();
        }
        let keys = Self::of(payload).keys.into_iter();
        keys.filter_map(|key| key.name).collect()
    }

    /// Whether the payload is marked as encrypted. The mark proves nothing.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.format
            .is_some_and(|name| !matches!(name, "zlib" | "snappy" | "gzip"))
    }

    fn take(&mut self, parsed: &Parsed) {
        match parsed {
            Parsed::Direct(direct) => self.keys.push(named(&direct.key, &direct.ciphertext)),
            Parsed::EnvelopeV1(envelope) => self.keys.push(match &envelope.key {
                Some(key) => named(key, envelope.wrapped.as_bytes()),
                None => InspectedKey {
                    name: None,
                    version: None,
                },
            }),
            Parsed::EnvelopeV2(envelope) => {
                let keys = envelope.recipients.iter();
                self.keys = keys
                    .map(|Recipient { key, wrapped }| named(key, wrapped.as_bytes()))
                    .collect();
                let namespace = envelope.context.get(NAMESPACE);
                self.namespace = namespace.map(|name| shown(name, MAX_NAME));
            }
            Parsed::Static(sealed) => self.keys.push(InspectedKey {
                name: Some(format!("static:{}", shown(&sealed.id, MAX_NAME))),
                version: None,
            }),
            Parsed::Compressed(_) => {}
        }
    }
}

/// A payload with the beginning of its data, which tells everything.
fn head_of(payload: &Payload) -> Payload {
    /// A ciphertext of direct mode, which a service limits to less, is whole.
    const LONGEST: usize = 128 << 10;
    let head = payload.data.get(..LONGEST).unwrap_or(&payload.data);
    Payload {
        metadata: payload.metadata.clone(),
        data: head.to_vec(),
        external_payloads: Vec::new(),
    }
}

fn named(key: &KeyUri, ciphertext: &[u8]) -> InspectedKey {
    InspectedKey {
        name: Some(key.to_string()),
        version: version(key.scheme(), ciphertext),
    }
}

/// The version, as `codec-server keys versions` prints it.
fn version(scheme: Scheme, ciphertext: &[u8]) -> Option<String> {
    kms::version_in(scheme, ciphertext)
        .or_else(|| vault_transit::version_in(ciphertext).map(|version| shown(version, 32)))
}

fn of_vault(payload: &Payload) -> InspectedKey {
    let (key, version) = vault_transit::named(payload);
    InspectedKey {
        name: key.map(|key| shown(&String::from_utf8_lossy(key), MAX_NAME)),
        version: version.map(|version| shown(version, 32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use temporal_kms_local::LocalKeyring;

    use crate::{Codec, Format, Namespace};

    fn payload(metadata: &[(&str, &[u8])], data: &[u8]) -> Payload {
        Payload {
            metadata: metadata
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
                .collect(),
            data: data.to_vec(),
            external_payloads: vec![],
        }
    }

    fn key(name: &str, version: Option<&str>) -> InspectedKey {
        InspectedKey {
            name: Some(name.to_owned()),
            version: version.map(str::to_owned),
        }
    }

    #[tokio::test]
    async fn payloads_of_this_codec_tell_keys_versions_and_namespace() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = LocalKeyring::open(folder.path());
        for format in [Format::Envelope, Format::EnvelopeV1, Format::Direct] {
            let codec = Codec::builder(Namespace::new("prod").unwrap())
                .encrypt_with(keyring.key_or_create("k").unwrap())
                .format(format)
                .build()
                .unwrap();
            let sealed = codec.encode(vec![payload(&[], b"1")]).await.unwrap();
            let found = Inspection::of(&sealed[0]);
            assert_eq!(found.format, Some(format.as_str()));
            assert_eq!(found.len, sealed[0].data.len());
            assert_eq!(found.fault, None);
            let is_bound = format == Format::Envelope;
            assert_eq!(found.namespace.as_deref(), is_bound.then_some("prod"));
            let [InspectedKey { name, version }] = &found.keys[..] else {
                panic!("{found:?}")
            };
            assert_eq!(name.as_deref(), Some("local://k"));
            // The service of the key reads the version.
            assert_eq!(version.is_some(), cfg!(feature = "local"));
            assert_eq!(Inspection::key_names(&sealed[0]), ["local://k"]);
        }
    }

    #[test]
    fn payloads_of_others_tell_what_they_have() {
        let data = [0; 28];
        let encrypted = ("encoding", &b"binary/encrypted"[..]);
        let name = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k";
        for (metadata, data, format, expected) in [
            (
                vec![encrypted, ("encryption-key-id", b"test")],
                &data[..],
                "static",
                vec![key("static:test", None)],
            ),
            (
                vec![encrypted],
                &data[..],
                "static",
                vec![key("static:", None)],
            ),
            (
                vec![
                    encrypted,
                    (
                        "encryption-key-id",
                        name.replacen("gcp-kms", "gcpkms", 1).as_bytes(),
                    ),
                    ("encryption-dek", b"AAAA"),
                ],
                &data[..],
                "temporal-proxy",
                vec![key(name, None)],
            ),
            (
                vec![encrypted, ("encryption-key-id", b"payloads")],
                b"vault:v3:AAAA",
                "vault-transit",
                vec![key("payloads", Some("3"))],
            ),
            (
                vec![
                    encrypted,
                    ("encryption-key-id", b"payloads"),
                    ("encryption-key-version", b"7"),
                ],
                b"x",
                "vault-transit",
                vec![key("payloads", Some("7"))],
            ),
            (vec![("encoding", b"binary/zlib")], b"x", "zlib", vec![]),
        ] {
            let found = Inspection::of(&payload(&metadata, data));
            assert_eq!(found.format, Some(format));
            assert_eq!(found.keys, expected, "{format}");
            assert_eq!(found.is_encrypted(), format != "zlib");
        }
        let plain = Inspection::of(&payload(&[("encoding", b"json/plain")], b"1"));
        assert_eq!(
            (plain.format, plain.encoding.as_deref()),
            (None, Some("json/plain"))
        );
    }

    #[test]
    fn a_malformed_payload_says_why_and_its_text_is_safe() {
        let short = Inspection::of(&payload(&[("encoding", b"binary/encrypted")], b""));
        assert!(matches!(short.fault, Some(PayloadError::Malformed(_))));
        let odd = payload(
            &[
                ("encoding", b"binary/encrypted"),
                ("encryption-key-id", b"\x1b[2J"),
            ],
            &[0; 28],
        );
        let name = Inspection::of(&odd).keys[0].name.clone().unwrap();
        assert_eq!(name, "static:\\u{1b}[2J");
    }
}
