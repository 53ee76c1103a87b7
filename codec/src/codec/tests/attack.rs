//! Payloads that cannot be opened, in number, with a KMS that answers in 20 ms.
//!
//! Tokio's paused clock moves only while the KMS is waited for, so the times here are those that calls cost.

use tokio::time::Instant;

use super::*;
use crate::kms::CallPolicy;

const LATENCY: Duration = Duration::from_millis(20);

struct Bench {
    _folder: TempDir,
    keys: Vec<Arc<FaultyKey>>,
    writing: Arc<dyn KeyProvider>,
}

impl Bench {
    fn new(keys: usize) -> Self {
        let (folder, keyring) = keyring();
        let opened: Vec<_> = (0..keys)
            .map(|n| keyring.key_or_create(&format!("k{n}")).unwrap())
            .collect();
        Self {
            _folder: folder,
            writing: opened[0].clone(),
            keys: opened
                .into_iter()
                .map(|key| {
                    let key = FaultyKey::over(key);
                    key.always(Answer::Takes(LATENCY));
                    key
                })
                .collect(),
        }
    }

    fn reader(&self) -> Codec {
        self.reader_with(&CallPolicy::default())
    }

    /// A reader whose calls the policy surrounds, as in every program.
    fn reader_with(&self, policy: &CallPolicy) -> Codec {
        let mut reader = builder("n").decrypt_formats(FORMATS);
        for key in &self.keys {
            let key = policy.decorate(key.clone(), &Arc::default()).unwrap();
            reader = reader.encrypt_with(key);
        }
        reader.build().unwrap()
    }

    /// Payloads of different writers, each with a data key of its own.
    async fn honest(&self, format: Format, count: usize) -> Vec<Payload> {
        let mut honest = Vec::new();
        for _ in 0..count {
            let writer = builder("n")
                .encrypt_with(self.writing.clone())
                .format(format)
                .build()
                .unwrap();
            honest.push(seal(&writer, "honest").await);
        }
        honest
    }

    fn calls(&self) -> usize {
        self.keys.iter().map(|key| key.calls()).sum()
    }
}

/// Payloads that no key opens, each with a wrapped key, or a ciphertext, of its own.
async fn bogus(bench: &Bench, format: Format, count: u32) -> Vec<Payload> {
    let model = bench.honest(format, 1).await.remove(0);
    (0..count)
        .map(|n| {
            let mut payload = model.clone();
            match payload.metadata.get_mut("encrypted-dek") {
                Some(wrapped) => wrapped.extend(n.to_be_bytes()),
                None => payload.data.extend(n.to_be_bytes()),
            }
            payload
        })
        .collect()
}

/// What an attacker may send, by name.
async fn attacks(bench: &Bench, count: u32) -> Vec<(&'static str, Vec<Payload>)> {
    let v1 = bogus(bench, Format::EnvelopeV1, count).await;
    let mut nameless = v1.clone();
    for payload in &mut nameless {
        payload.metadata.remove("kms-key");
    }
    let mut short = bogus(bench, Format::Direct, count).await;
    for (byte, payload) in (0..=u8::MAX).cycle().zip(&mut short) {
        payload.data = vec![byte];
    }
    let mut long = bogus(bench, Format::Envelope, 50).await;
    for (byte, payload) in (0..).zip(&mut long) {
        for (number, key) in bench.keys.iter().enumerate() {
            let name = |name: &str| match number {
                0 => name.to_owned(),
                _ => format!("{name}.{number}"),
            };
            let uri = key.uri().to_string().into_bytes();
            payload.metadata.insert(name("kms-key"), uri);
            payload
                .metadata
                .insert(name("encrypted-dek"), vec![byte; 16 * 1024]);
        }
    }
    vec![
        ("version 2", bogus(bench, Format::Envelope, count).await),
        ("version 1", v1),
        ("version 1 without a key name", nameless),
        ("direct", bogus(bench, Format::Direct, count).await),
        ("direct with one byte", short),
        ("10 wrapped keys of 16 KiB", long),
    ]
}

#[tokio::test(start_paused = true)]
async fn eight_thousand_payloads_that_cannot_be_opened_cost_sixteen_calls_and_then_none() {
    for (keys, count) in [(1, 8000), (3, 500), (10, 500)] {
        let bench = Bench::new(keys);
        for (attack, payloads) in attacks(&bench, count).await {
            let attack = format!("{attack}, {keys} keys");
            let (reader, before) = (bench.reader(), bench.calls());
            for round in 1..=2 {
                let start = Instant::now();
                let decoded = reader.decode_each(payloads.clone()).await;
                assert!(decoded.iter().all(Result::is_err), "{attack}");
                let calls = bench.calls() - before;
                assert!(calls <= 16, "{attack}: {calls} calls in round {round}");
                assert!(start.elapsed() < Duration::from_secs(1), "{attack}");
                if round > 1 {
                    assert_eq!(start.elapsed(), Duration::ZERO, "{attack}: calls again");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_workflow_start_with_them_costs_sixteen_calls_and_then_none() {
    let bench = Bench::new(3);
    for (attack, payloads) in attacks(&bench, 8000).await {
        let reader = bench.reader();
        let before = bench.calls();
        reader.decode(payloads.clone()).await.unwrap_err();
        let first = bench.calls() - before;
        assert!(first <= 16, "{attack}: {first} calls");
        // Temporal delivers the same workflow task again and again.
        for _ in 0..5 {
            reader.decode(payloads.clone()).await.unwrap_err();
        }
        assert_eq!(bench.calls() - before, first, "{attack}: calls again");
    }
}

#[tokio::test(start_paused = true)]
async fn the_steps_of_one_request_share_its_budget() {
    let bench = Bench::new(1);
    let payloads = bogus(&bench, Format::Envelope, 8000).await;
    let (reader, before) = (bench.reader(), bench.calls());
    let request = reader.decoder();
    for step in payloads.chunks(16) {
        let decoded = request.decode_each(step.to_vec()).await;
        assert!(decoded.iter().all(Result::is_err));
    }
    assert_eq!(bench.calls() - before, 16);
}

#[tokio::test(start_paused = true)]
async fn encoding_payloads_that_only_look_encrypted_is_bounded_too() {
    let bench = Bench::new(1);
    let payloads = bogus(&bench, Format::Envelope, 8000).await;
    let (reader, before) = (bench.reader(), bench.calls());
    for _ in 0..3 {
        reader.encode(payloads.clone()).await.unwrap_err();
    }
    assert!(bench.calls() - before <= 16);
}

#[tokio::test(start_paused = true)]
async fn an_honest_task_beside_the_attack_takes_at_most_twice_as_long() {
    let bench = Bench::new(1);
    let task = bench.honest(Format::Envelope, 20).await;
    let reader = bench.reader();
    let start = Instant::now();
    for payload in task.clone() {
        reader.decode(vec![payload]).await.unwrap();
    }
    let alone = start.elapsed();

    // The service answers few calls at the same time, so the calls of the attack and of the task wait for each other.
    let reader = bench.reader_with(&CallPolicy {
        max_concurrent: 8,
        ..CallPolicy::default()
    });
    let payloads = bogus(&bench, Format::Envelope, 8000).await;
    let attackers = payloads.chunks(2000).map(|payloads| {
        let reader = reader.clone();
        async move {
            // Each request is new to the codec: 125 of 16 payloads.
            for request in payloads.chunks(16) {
                reader.decode_each(request.to_vec()).await;
            }
        }
    });
    let attacking = futures::future::join_all(attackers);
    let start = Instant::now();
    let working = async {
        for payload in task {
            reader.decode(vec![payload]).await.unwrap();
        }
        start.elapsed()
    };
    let (_, beside) = futures::future::join(attacking, working).await;
    assert!(beside <= 2 * alone, "{beside:?} beside it, {alone:?} alone");
}

#[tokio::test(start_paused = true)]
async fn an_honest_payload_in_the_same_request_opens_when_its_key_is_known() {
    let bench = Bench::new(1);
    let reader = bench.reader();
    let honest = bench.honest(Format::Envelope, 1).await;
    reader.decode(honest.clone()).await.unwrap();
    let mut request = bogus(&bench, Format::Envelope, 100).await;
    request.extend(honest);
    let decoded = reader.decode_each(request).await;
    assert!(decoded[100].is_ok());
    assert!(matches!(
        decoded[99],
        Err(Error::Payload(PayloadError::NotTried))
    ));
}

#[tokio::test(start_paused = true)]
async fn an_honest_payload_behind_known_attacks_is_served() {
    let bench = Bench::new(1);
    let reader = bench.reader();
    let mut request = bogus(&bench, Format::Envelope, 16).await;
    reader.decode_each(request.clone()).await;
    request.extend(bench.honest(Format::Envelope, 1).await);
    let decoded = reader.decode_each(request).await;
    assert!(decoded[16].is_ok(), "{:?}", decoded[16]);
}

/// Payloads with the wrapped keys of honest ones, which are in every history, and another content.
fn with_another_content(honest: &[Payload], count: usize) -> Vec<Payload> {
    let altered = honest.iter().cloned().map(|mut payload| {
        *payload.data.last_mut().unwrap() ^= 1;
        payload
    });
    let altered: Vec<_> = altered.collect();
    altered.into_iter().cycle().take(count).collect()
}

#[tokio::test(start_paused = true)]
async fn copied_wrapped_keys_in_any_number_cost_sixteen_calls_in_a_request_and_few_in_all() {
    for format in [Format::Envelope, Format::EnvelopeV1] {
        for distinct in [1, 16, 50] {
            let bench = Bench::new(1);
            let honest = bench.honest(format, distinct).await;
            let count = if distinct == 16 { 8000 } else { 500 };
            let payloads = with_another_content(&honest, count);
            let (each, together) = (bench.reader(), bench.reader());
            for reader in [&each, &together] {
                let start = bench.calls();
                for round in 0..5 {
                    let before = bench.calls();
                    if std::ptr::eq(reader, &raw const each) {
                        let decoded = reader.decode_each(payloads.clone()).await;
                        assert!(decoded.iter().all(Result::is_err));
                    } else {
                        reader.decode(payloads.clone()).await.unwrap_err();
                    }
                    let calls = bench.calls() - before;
                    assert!(calls <= 16, "{format}, {distinct}: {calls} in {round}");
                }
                let calls = bench.calls() - start;
                assert!(calls <= 32, "{format}, {distinct}: {calls} calls in all");
                let opened = reader.decode(honest[..1].to_vec()).await;
                assert!(opened.is_ok(), "{opened:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn copies_of_direct_payloads_cost_one_call_for_each_original() {
    let bench = Bench::new(1);
    let honest = bench.honest(Format::Direct, 5).await;
    let copies: Vec<_> = honest.iter().cloned().cycle().take(8000).collect();
    let (reader, before) = (bench.reader(), bench.calls());
    let decoded = reader.decode_each(copies).await;
    assert!(decoded.iter().all(Result::is_ok));
    assert_eq!(bench.calls() - before, 5);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_direct_encodes_ask_a_disabled_key_once_a_second() {
    let bench = Bench::new(1);
    let writer = builder("n")
        .encrypt_with(bench.keys[0].clone())
        .format(Format::Direct)
        .build()
        .unwrap();
    bench.keys[0].fail(ProviderErrorKind::KeyDisabled);
    writer.encode(payloads(1)).await.unwrap_err();
    for second in 1..=3 {
        for _ in 0..1000 {
            writer.encode(payloads(1)).await.unwrap_err();
        }
        assert_eq!(bench.calls(), 2 * second - 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        // Programs that examine a key still ask.
        writer.ready().await.unwrap_err();
        writer.encode(payloads(1)).await.unwrap_err();
    }
    bench.keys[0].recover();
    tokio::time::advance(Duration::from_secs(1)).await;
    writer.encode(payloads(1)).await.unwrap();
}
