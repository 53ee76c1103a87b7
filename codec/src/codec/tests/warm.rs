//! The fast way and the general way decode alike: a codec whose data keys are known, beside one that knows nothing.

use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use temporal_kms_codec_proto::{Metadata, SharedPayload};
use tokio::runtime::Runtime;

use super::*;

/// What happens to a payload on its way to the reader.
#[derive(Clone, Debug)]
enum Change {
    Nothing,
    FlipsData(Index, u8),
    CutsData(Index),
    FlipsMetadata(Index, Index, u8),
    DropsEntry(Index),
    AddsEntry,
    /// The data of another payload.
    HasDataOf(Index),
    /// The metadata of another payload.
    HasMetadataOf(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        4 => Just(Change::Nothing),
        2 => (index(), 0..8_u8).prop_map(|(at, bit)| Change::FlipsData(at, bit)),
        1 => index().prop_map(Change::CutsData),
        2 => (index(), index(), 0..8_u8).prop_map(|(entry, at, bit)| Change::FlipsMetadata(entry, at, bit)),
        1 => index().prop_map(Change::DropsEntry),
        1 => Just(Change::AddsEntry),
        2 => index().prop_map(Change::HasDataOf),
        2 => index().prop_map(Change::HasMetadataOf),
    ]
}

fn flip(bytes: &mut [u8], at: Index, bit: u8) {
    if !bytes.is_empty() {
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
    }
}

fn changed(honest: &[Payload], which: Index, change: &Change) -> Payload {
    let mut payload = which.get(honest).clone();
    let entry = |payload: &Payload, at: Index| {
        let names: Vec<_> = payload.metadata.keys().cloned().collect();
        at.get(&names).clone()
    };
    match change {
        Change::Nothing => {}
        Change::FlipsData(at, bit) => flip(&mut payload.data, *at, *bit),
        Change::CutsData(at) => payload.data.truncate(at.index(payload.data.len().max(1))),
        Change::FlipsMetadata(name, at, bit) => {
            let name = entry(&payload, *name);
            flip(payload.metadata.get_mut(&name).unwrap(), *at, *bit);
        }
        Change::DropsEntry(name) => {
            let name = entry(&payload, *name);
            payload.metadata.remove(&name);
        }
        Change::AddsEntry => {
            payload.metadata.insert("more".to_owned(), b"x".to_vec());
        }
        Change::HasDataOf(other) => payload.data.clone_from(&other.get(honest).data),
        Change::HasMetadataOf(other) => payload.metadata.clone_from(&other.get(honest).metadata),
    }
    payload
}

struct Stage {
    _folder: TempDir,
    keys: [Arc<dyn KeyProvider>; 2],
    /// Payloads of several writers, in several formats and namespaces.
    honest: Vec<Payload>,
}

impl Stage {
    async fn new() -> Self {
        let (folder, keyring) = keyring();
        let key = |name| -> Arc<dyn KeyProvider> { keyring.key_or_create(name).unwrap() };
        let keys = [key("one"), key("two")];
        let foreign = key("foreign");
        let mut honest = vec![payload("plain")];
        for namespace in ["n", "other"] {
            for key in keys.iter().chain([&foreign]) {
                for format in [Format::Envelope, Format::Envelope, Format::EnvelopeV1] {
                    let writer = builder(namespace)
                        .encrypt_with(key.clone())
                        .format(format)
                        .build()
                        .unwrap();
                    // Two of the same data key.
                    honest.extend(writer.encode(payloads(2)).await.unwrap());
                }
            }
        }
        Self {
            _folder: folder,
            keys,
            honest,
        }
    }

    fn reader(&self) -> Codec {
        let [one, two] = self.keys.clone();
        builder("n")
            .encrypt_with(one)
            .decrypt_with(two)
            .decrypt_formats(FORMATS)
            .build()
            .unwrap()
    }
}

/// A payload, or the text of the error.
type Answer = Result<Payload, String>;

fn answer(decoded: Result<Payload, Error>) -> Answer {
    decoded.map_err(|error| error.to_string())
}

async fn by_general_way(stage: &Stage, given: &[Payload]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for payload in given {
        let decoded = stage.reader().decode(vec![payload.clone()]).await;
        answers.push(answer(decoded.map(|mut payloads| payloads.remove(0))));
    }
    answers
}

/// Each payload beside the others, as the payloads of one request.
async fn by_fast_way(codec: &Codec, given: &[Payload]) -> Vec<Answer> {
    let decoder = codec.decoder();
    let tried: Vec<_> = {
        let mut known = decoder.known();
        given.iter().map(|one| known.decode(one.clone())).collect()
    };
    let mut answers = Vec::new();
    for tried in tried {
        let opened = match tried {
            Ok(payload) => Ok(payload),
            // A request has a budget of refusals. Here each payload has its own.
            Err(undecoded) => codec.decoder().finish(undecoded).await,
        };
        answers.push(answer(opened));
    }
    answers
}

/// As [`by_fast_way`]. Payloads with equal metadata share them.
async fn by_fast_way_shared(codec: &Codec, given: &[Payload]) -> Vec<Answer> {
    let mut seen: Vec<Arc<Metadata>> = Vec::new();
    let shared: Vec<SharedPayload> = given
        .iter()
        .map(|payload| {
            let metadata =
                if let Some(metadata) = seen.iter().find(|one| ***one == payload.metadata) {
                    Arc::clone(metadata)
                } else {
                    let metadata = Arc::new(payload.metadata.clone());
                    seen.push(Arc::clone(&metadata));
                    metadata
                };
            SharedPayload::new(metadata, payload.data.clone())
        })
        .collect();
    let decoder = codec.decoder();
    let tried: Vec<_> = {
        let mut known = decoder.known();
        shared
            .into_iter()
            .map(|one| known.decode_shared(one))
            .collect()
    };
    let mut answers = Vec::new();
    for tried in tried {
        let opened = match tried {
            Ok(payload) => Ok(payload.into_payload()),
            // A request has a budget of refusals. Here each payload has its own.
            Err(undecoded) => codec.decoder().finish(undecoded).await,
        };
        answers.push(answer(opened));
    }
    answers
}

#[test]
fn a_codec_that_knows_the_data_keys_answers_as_one_that_does_not() {
    let runtime = Runtime::new().unwrap();
    let stage = runtime.block_on(Stage::new());
    let warm = stage.reader();
    let honest = runtime.block_on(by_fast_way(&warm, &stage.honest));
    assert!(honest.iter().filter(|one| one.is_ok()).count() > 10);

    let plan = prop::collection::vec((any::<Index>(), change()), 1..24);
    let compare = |plan: Vec<(Index, Change)>| {
        let given: Vec<Payload> = plan
            .iter()
            .map(|(which, change)| changed(&stage.honest, *which, change))
            .collect();
        runtime.block_on(async {
            let expected = by_general_way(&stage, &given).await;
            prop_assert_eq!(&by_fast_way(&warm, &given).await, &expected);
            prop_assert_eq!(&by_fast_way_shared(&warm, &given).await, &expected);
            Ok(())
        })
    };
    TestRunner::default().run(&plan, compare).unwrap();
}
