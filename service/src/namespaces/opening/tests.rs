//! Which codec a namespace gets, and when it keeps the one that it has.

use std::path::Path;

use temporal_kms_codec::{Codec, Payload, kms::local::LocalKeyring};

use super::*;
use crate::settings::Settings;

fn configuration(text: &str, keyring: &Path) -> (NamespacesConfig, Kms, Clients) {
    for name in ["a", "b"] {
        LocalKeyring::open(keyring).key_or_create(name).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("codec.toml");
    let text = format!("[keys]\nlocal_keyring = '{}'\n{text}", keyring.display());
    std::fs::write(&file, text).unwrap();
    let loaded = Settings::new("TKC_TEST_").load_with_sources(Some(&file), |document| {
        let (namespaces, kms) = crate::namespaces::read(document);
        document.report_faults(crate::namespaces::faults(&namespaces, &kms));
        (namespaces, kms)
    });
    let loaded = loaded.unwrap();
    let (namespaces, kms) = loaded.settings;
    let clients = Clients::of(&loaded.found, &kms);
    (namespaces, kms, clients)
}

fn resolve(namespaces: &Namespaces, name: &str) -> Codec {
    let namespace = Namespace::new(name).unwrap();
    namespaces.resolve(namespace).unwrap().codec
}

async fn sealed(codec: &Codec) -> Vec<Payload> {
    let plain = Payload {
        data: b"1".to_vec(),
        ..Payload::default()
    };
    codec.encode(vec![plain]).await.unwrap()
}

/// The codecs of `names` have encrypted once each. Which of them remember it after the change?
async fn kept<'n>(before: &str, after: &str, names: &[&'n str]) -> Vec<&'n str> {
    let keyring = tempfile::tempdir().unwrap();
    let (config, kms, clients) = configuration(before, keyring.path());
    let served = Namespaces::open(&config, &kms).await.unwrap();
    for name in names {
        sealed(&resolve(&served, name)).await;
    }
    let (config, kms, new_clients) = configuration(after, keyring.path());
    let reuse = Reuse {
        served: &served,
        clients: &clients,
        new_clients: &new_clients,
    };
    let reopened = Namespaces::reopen(&config, &kms, reuse).await.unwrap();
    let mut kept = names.to_vec();
    kept.retain(|name| {
        let state = resolve(&reopened, name).data_key_state();
        state.sealing_age.is_some()
    });
    kept
}

const TWO: &str =
    "[namespaces.one]\nencrypt = [\"local://a\"]\n[namespaces.two]\nencrypt = [\"local://a\"]\n";

#[tokio::test]
async fn only_a_namespace_whose_codec_has_changed_loses_its_data_keys() {
    let names = ["one", "two"];
    assert_eq!(kept(TWO, TWO, &names).await, names);
    let changed = format!("{TWO}decrypt = [\"local://b\"]\n");
    assert_eq!(kept(TWO, &changed, &names).await, ["one"]);
    let changed = format!("{TWO}plaintext = \"reject\"\n");
    assert_eq!(kept(TWO, &changed, &names).await, ["one"]);
    let changed = format!("{TWO}[cache]\nttl = \"1m\"\n");
    assert!(kept(TWO, &changed, &names).await.is_empty());
    let changed = format!("{TWO}[keys.calls]\nmax_attempts = 2\n");
    assert!(kept(TWO, &changed, &names).await.is_empty());
}

#[tokio::test]
async fn what_a_server_does_around_a_codec_does_not_change_the_codec() {
    let changed =
        format!("{TWO}on_undecodable = \"placeholder\"\nmax_body = \"1KiB\"\nmax_rate = 5\n");
    assert_eq!(kept(TWO, &changed, &["one", "two"]).await, ["one", "two"]);
}

#[tokio::test]
async fn a_pattern_keeps_the_codecs_of_its_namespaces() {
    let pattern = "[namespaces.\"team-*\"]\nencrypt = [\"local://a\"]\n";
    let names = ["team-1", "team-2"];
    assert_eq!(kept(pattern, pattern, &names).await, names);
    let closer = format!("{pattern}[namespaces.\"team-1*\"]\nencrypt = [\"local://b\"]\n");
    assert_eq!(kept(pattern, &closer, &names).await, ["team-2"]);
}

#[tokio::test]
async fn the_name_counts_and_then_the_closest_pattern() {
    let keyring = tempfile::tempdir().unwrap();
    let text = "[namespaces.team-a]\nencrypt = [\"local://a\"]\nmax_payloads = 1\n\
                [namespaces.\"team-*\"]\nencrypt = [\"local://b\"]\nmax_payloads = 2\n\
                [namespaces.\"team-b-*\"]\nencrypt = [\"local://b\"]\nmax_payloads = 3\n";
    let (config, kms, _) = configuration(text, keyring.path());
    let served = Namespaces::open(&config, &kms).await.unwrap();
    for (name, limit) in [("team-a", 1), ("team-ab", 2), ("team-b-x", 3)] {
        let found = served.resolve(Namespace::new(name).unwrap()).unwrap();
        assert_eq!(found.limits.max_payloads, Some(limit), "{name}");
        assert_eq!(found.codec.namespace().as_str(), name);
    }
    for unknown in ["default", "team", "Team-a", "x-team-a"] {
        let namespace = Namespace::new(unknown).unwrap();
        assert!(served.resolve(namespace).is_err(), "{unknown}");
        assert!(!served.serves(unknown));
    }
    assert!(served.resembles("Team-a") && served.resembles("TEAM-x"));
    assert_eq!(served.check_keys().await.len(), 2);
}

#[tokio::test]
async fn a_key_of_several_namespaces_is_asked_once() {
    let keyring = tempfile::tempdir().unwrap();
    let text = format!(
        "[namespaces.reads]\ndecrypt = [\"local://a\", \"local://b\"]\n\
         [namespaces.\"team-*\"]\nencrypt = [\"local://a\"]\n{TWO}"
    );
    let (config, kms, _) = configuration(&text, keyring.path());
    let served = Namespaces::open(&config, &kms).await.unwrap();
    let answers = served.check_keys().await;
    assert_eq!(answers.len(), 2);
    assert!(answers.values().all(Result::is_ok));
    // The namespace that reads has a key that others do not have, so it asks both of its keys.
    let calls = kms.metrics().snapshot();
    let calls: Vec<_> = calls
        .iter()
        .map(|(key, operation, numbers)| (key.to_string(), operation.as_str(), numbers.calls))
        .collect();
    let expected = [("local://a", 2), ("local://b", 1)];
    assert_eq!(
        calls,
        expected.map(|(key, calls)| (key.to_owned(), "describe", calls))
    );
}

#[tokio::test]
async fn a_payload_of_one_namespace_of_a_pattern_is_not_opened_in_another() {
    let keyring = tempfile::tempdir().unwrap();
    let text = "[namespaces.\"team-*\"]\nencrypt = [\"local://a\"]\n\
                [namespaces.\"other-*\"]\nencrypt = [\"local://a\"]\naccept_namespaces = [\"team-1\"]\n";
    let (config, kms, _) = configuration(text, keyring.path());
    let served = Namespaces::open(&config, &kms).await.unwrap();
    let payloads = sealed(&resolve(&served, "team-1")).await;
    assert!(
        resolve(&served, "team-1")
            .decode(payloads.clone())
            .await
            .is_ok()
    );
    assert!(
        resolve(&served, "team-2")
            .decode(payloads.clone())
            .await
            .is_err()
    );
    assert!(resolve(&served, "other-1").decode(payloads).await.is_ok());
    let payloads = sealed(&resolve(&served, "team-2")).await;
    assert!(resolve(&served, "other-1").decode(payloads).await.is_err());
}

#[tokio::test]
async fn emptied_namespaces_have_the_same_keys_and_no_data_key() {
    let keyring = tempfile::tempdir().unwrap();
    let text = format!("{TWO}[namespaces.\"team-*\"]\nencrypt = [\"local://a\"]\n");
    let (config, kms, _) = configuration(&text, keyring.path());
    let served = Namespaces::open(&config, &kms).await.unwrap();
    for name in ["one", "team-1"] {
        let payloads = sealed(&resolve(&served, name)).await;
        let emptied = served.emptied().unwrap();
        let codec = resolve(&emptied, name);
        assert_eq!(codec.stats().sealed, 0);
        assert!(codec.decode(payloads).await.is_ok());
        assert_eq!(codec.stats().unwraps, 1, "the data key is asked for again");
    }
}
