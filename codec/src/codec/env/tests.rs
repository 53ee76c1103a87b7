//! Variables as a process finds them.

use std::path::Path;

use temporal_kms_local::LocalKeyring;

use super::*;
use crate::Payload;

async fn from(variables: &[(&str, &str)]) -> Result<Codec, Error> {
    let settings = CodecSettings::from_lookup(&|name| {
        variables
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| (*value).to_owned())
    });
    settings?.open().await
}

fn create(keyring: &Path, names: &[&str]) {
    let keyring = LocalKeyring::open(keyring);
    for name in names {
        keyring.key_or_create(name).unwrap();
    }
}

#[tokio::test]
async fn a_mistyped_key_or_keyring_is_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    create(&folder.path().join("keys"), &["default"]);
    for (keyring, key) in [("keys", "local://defualt"), ("kyes", "local://default")] {
        let keyring = folder.path().join(keyring);
        let keyring = keyring.to_str().unwrap();
        let error = from(&[
            ("TEMPORAL_CODEC_KEY", key),
            ("TEMPORAL_CODEC_KEYRING", keyring),
        ])
        .await
        .unwrap_err()
        .to_string();
        let remedy = format!("codec-server keys create {key} --keyring {keyring}");
        assert!(error.contains(&remedy), "{error}");
    }
    let made = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(made, 1);
    let made = std::fs::read_dir(folder.path().join("keys")).unwrap();
    assert_eq!(made.count(), 1);
}

#[tokio::test]
async fn a_key_and_a_keyring_are_enough() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), &["default"]);
    let keyring = folder.path().to_str().unwrap();
    let codec = from(&[
        ("TEMPORAL_CODEC_KEY", "local://default"),
        ("TEMPORAL_CODEC_KEYRING", keyring),
    ])
    .await
    .unwrap();
    assert_eq!(codec.namespace().as_str(), "default");
    let payload = Payload {
        data: b"x".to_vec(),
        ..Payload::default()
    };
    let sealed = codec.encode(vec![payload.clone()]).await.unwrap();
    assert_eq!(sealed[0].metadata["kms-key"], b"local://default");
    assert_eq!(codec.decode(sealed).await.unwrap(), [payload]);
}

#[tokio::test]
async fn every_setting_reaches_the_codec() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), &["a", "b", "c"]);
    let keyring = folder.path().to_str().unwrap();
    let codec = from(&[
        ("TEMPORAL_NAMESPACE", "prod"),
        ("TEMPORAL_CODEC_KEY", "local://a"),
        ("TEMPORAL_CODEC_DECRYPT_KEYS", "local://b, local://c"),
        ("TEMPORAL_CODEC_KEYRING", keyring),
        ("TEMPORAL_CODEC_FORMAT", "direct"),
        (
            "TEMPORAL_CODEC_DECRYPT_FORMATS",
            "envelope, envelope-v1,direct",
        ),
        ("TEMPORAL_CODEC_PLAINTEXT", "allow"),
    ])
    .await
    .unwrap();
    assert_eq!(codec.namespace().as_str(), "prod");
    assert_eq!(codec.0.format, Format::Direct);
    for format in [Format::Envelope, Format::EnvelopeV1, Format::Direct] {
        assert_eq!(codec.0.policy.formats.check(format), Ok(()));
    }
    for key in ["local://a", "local://b", "local://c"] {
        assert!(
            codec
                .0
                .opening
                .decryption
                .provider(&key.parse().unwrap())
                .is_ok()
        );
    }
    assert!(codec.decode(vec![Payload::default()]).await.is_ok());
}

#[tokio::test]
async fn pairs_of_the_context_are_written_and_required() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), &["k"]);
    let codec = async |pairs: &str, required: &str| {
        from(&[
            ("TEMPORAL_CODEC_KEY", "local://k"),
            ("TEMPORAL_CODEC_KEYRING", folder.path().to_str().unwrap()),
            ("TEMPORAL_CODEC_CONTEXT", pairs),
            ("TEMPORAL_CODEC_REQUIRE_CONTEXT", required),
        ])
        .await
        .unwrap()
    };
    let strict = codec("tenant=a, env = prod", "true").await;
    let named = codec("tenant=a,env=prod", "tenant").await;
    let lenient = codec("tenant=a,env=prod", "").await;
    let sealed =
        |codec: Codec| async move { codec.encode(vec![Payload::default()]).await.unwrap() };
    let whole = sealed(strict.clone()).await;
    assert_eq!(
        whole[0].metadata["encryption-context"],
        br#"{"env":"prod","namespace":"default","tenant":"a"}"#
    );
    let half = sealed(codec("tenant=a", "false").await).await;
    let bare = sealed(codec("", "").await).await;
    for (payload, opens) in [
        (&whole, [true, true, true]),
        (&half, [false, true, true]),
        (&bare, [false, false, true]),
    ] {
        for (codec, opens) in [&strict, &named, &lenient].iter().zip(opens) {
            assert_eq!(codec.decode(payload.clone()).await.is_ok(), opens);
        }
    }
}

#[tokio::test]
async fn plaintext_is_refused_and_old_formats_are_closed_by_default() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), &["k"]);
    let codec = from(&[
        ("TEMPORAL_CODEC_KEY", "local://k"),
        ("TEMPORAL_CODEC_KEYRING", folder.path().to_str().unwrap()),
        // What a template leaves of a variable that is not set.
        ("TEMPORAL_CODEC_PLAINTEXT", ""),
        ("TEMPORAL_CODEC_DECRYPT_FORMATS", ""),
    ])
    .await
    .unwrap();
    assert!(codec.decode(vec![Payload::default()]).await.is_err());
    assert_eq!(codec.0.policy.formats.check(Format::Envelope), Ok(()));
    for format in [Format::EnvelopeV1, Format::Direct] {
        assert!(codec.0.policy.formats.check(format).is_err());
    }
}

#[tokio::test]
async fn the_environment_gives_a_builder_that_code_refines() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), &["k"]);
    let settings = CodecSettings::from_lookup(&|name| match name {
        "TEMPORAL_CODEC_KEY" => Some("local://k".to_owned()),
        "TEMPORAL_CODEC_KEYRING" => folder.path().to_str().map(str::to_owned),
        "TEMPORAL_CODEC_PLAINTEXT" => Some("allow".to_owned()),
        _ => None,
    });
    let builder = settings.unwrap().into_builder().await.unwrap();
    let codec = builder.context("env", "production").build().unwrap();
    let sealed = codec.encode(vec![Payload::default()]).await.unwrap();
    assert_eq!(
        sealed[0].metadata["encryption-context"],
        br#"{"env":"production","namespace":"default"}"#
    );
    assert!(codec.decode(vec![Payload::default()]).await.is_ok());
}

#[tokio::test]
async fn settings_that_contradict_each_other_name_a_variable() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), &["a", "b"]);
    for (variables, expected) in [
        (
            &[("TEMPORAL_CODEC_KEY", "local://a,local://a")][..],
            "TEMPORAL_CODEC_KEY: local://a is named twice",
        ),
        (
            &[
                ("TEMPORAL_CODEC_KEY", "local://a,local://b"),
                ("TEMPORAL_CODEC_FORMAT", "direct"),
            ],
            "TEMPORAL_CODEC_KEY: only the format `envelope`",
        ),
        (
            &[("TEMPORAL_CODEC_DECRYPT_FORMATS", "direct")],
            "TEMPORAL_CODEC_DECRYPT_FORMATS: it must contain `envelope`",
        ),
        (
            &[("TEMPORAL_CODEC_CONTEXT", "namespace=x")],
            "TEMPORAL_CODEC_CONTEXT: the pair `namespace`",
        ),
        (
            &[("TEMPORAL_CODEC_REQUIRE_CONTEXT", "true")],
            "TEMPORAL_CODEC_REQUIRE_CONTEXT: no context pair",
        ),
        (
            &[
                ("TEMPORAL_CODEC_CONTEXT", "tenant=a"),
                ("TEMPORAL_CODEC_REQUIRE_CONTEXT", "tenant,env"),
            ],
            "TEMPORAL_CODEC_REQUIRE_CONTEXT: the pair `env` is not configured",
        ),
    ] {
        let mut all = variables.to_vec();
        all.push(("TEMPORAL_CODEC_KEYRING", folder.path().to_str().unwrap()));
        all.push(("TEMPORAL_CODEC_KEY", "local://a"));
        let error = from(&all).await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn says_which_variable_is_at_fault() {
    for (variables, expected) in [
        (&[][..], "TEMPORAL_CODEC_KEY: it is not set"),
        (
            &[("TEMPORAL_CODEC_KEY", "")],
            "TEMPORAL_CODEC_KEY: it is not set",
        ),
        (
            &[("TEMPORAL_CODEC_KEY", "default")],
            "TEMPORAL_CODEC_KEY: it starts with none",
        ),
        (
            &[("TEMPORAL_CODEC_KEY", "local://k")],
            "the folder of local keys is not named; set TEMPORAL_CODEC_KEYRING",
        ),
        (
            &[("TEMPORAL_CODEC_FORMAT", "v9")],
            "TEMPORAL_CODEC_FORMAT: it must be",
        ),
        (
            &[("TEMPORAL_CODEC_PLAINTEXT", "yes")],
            "TEMPORAL_CODEC_PLAINTEXT: it must be",
        ),
        (&[("KMS_PROVIDER", "azure")], "KMS_PROVIDER: it must be"),
        (
            &[("TEMPORAL_NAMESPACE", "a\nb")],
            "TEMPORAL_NAMESPACE: it holds a control character",
        ),
        (
            &[
                ("TEMPORAL_CODEC_KEY", "local://k"),
                ("TEMPORAL_CODEC_DECRYPT_KEYS", "k"),
            ],
            "TEMPORAL_CODEC_DECRYPT_KEYS: ",
        ),
        (
            &[
                ("TEMPORAL_CODEC_KEY", "local://k"),
                ("TEMPORAL_CODEC_DECRYPT_FORMATS", "v2"),
            ],
            "TEMPORAL_CODEC_DECRYPT_FORMATS: it must be",
        ),
        (
            &[
                ("TEMPORAL_CODEC_KEY", "local://k"),
                ("TEMPORAL_CODEC_CONTEXT", "tenant"),
            ],
            "TEMPORAL_CODEC_CONTEXT: each pair",
        ),
        (
            &[
                ("TEMPORAL_CODEC_KEY", "local://k"),
                ("TEMPORAL_CODEC_CONTEXT", "a=1,a=2"),
            ],
            "TEMPORAL_CODEC_CONTEXT: the pair `a` is set twice",
        ),
    ] {
        let error = from(variables).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{variables:?}: {error}");
    }
}

#[cfg(all(feature = "aws-kms", feature = "gcp-kms"))]
#[tokio::test]
async fn says_which_part_of_a_key_is_at_fault() {
    for (variables, expected) in [
        (
            &[("GCP_KMS_KEY", "k")][..],
            "GCP_PROJECT: it is not set, but GCP_KMS_KEY is",
        ),
        (
            &[("KMS_KEY_NAME", "k"), ("PROJECT_ID", "p")],
            "KMS_KEY_RING: it is not set",
        ),
        (
            &[("KMS_PROVIDER", "aws")],
            "KMS_KEY_ALIAS: it is not set, but KMS_PROVIDER is",
        ),
        (
            &[("KMS_KEY_ALIAS", "workflows")],
            "KMS_KEY_ALIAS: the form is aws-kms://",
        ),
    ] {
        let error = from(variables).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{variables:?}: {error}");
    }
}

#[cfg(feature = "aws-kms")]
#[test]
fn the_variables_of_aws_name_a_key() {
    for variables in [
        &[("KMS_KEY_ALIAS", "alias/workflows")][..],
        &[
            ("KMS_PROVIDER", "aws"),
            ("KMS_KEY_ALIAS", "alias/workflows"),
            ("GCP_KMS_KEY", "k"),
        ],
    ] {
        let lookup = |name: &str| {
            let mut found = variables.iter().filter(|(n, _)| *n == name);
            found.next().map(|(_, value)| (*value).to_owned())
        };
        let keys = encrypting_keys(&lookup, &mut Kms::default()).unwrap();
        assert_eq!(keys[0].to_string(), "aws-kms://alias/workflows");
    }
}

#[cfg(feature = "gcp-kms")]
#[test]
fn the_variables_of_google_cloud_name_a_key() {
    let variables = [
        ("GCP_PROJECT", "p"),
        ("GCP_KMS_KEY_RING", "r"),
        ("GCP_KMS_KEY", "k"),
    ];
    let lookup = |name: &str| {
        variables
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let keys = encrypting_keys(&lookup, &mut Kms::default()).unwrap();
    assert_eq!(
        keys[0].to_string(),
        "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k"
    );
}

#[tokio::test]
async fn static_keys_are_read_where_their_format_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), &["k"]);
    let file = folder.path().join("static");
    std::fs::write(&file, "test-key-test-key-test-key-test!\n").unwrap();
    let codec = async |keys: &str, formats: &str| {
        from(&[
            ("TEMPORAL_CODEC_KEY", "local://k"),
            ("TEMPORAL_CODEC_KEYRING", folder.path().to_str().unwrap()),
            ("TEMPORAL_CODEC_STATIC_KEYS", keys),
            ("TEMPORAL_CODEC_DECRYPT_FORMATS", formats),
        ])
        .await
    };
    let file = file.to_str().unwrap();
    let good = codec(&format!("test={file},={file}"), "envelope,static").await;
    let good = good.unwrap();
    assert!(good.0.static_keys.get("test").is_some() && good.0.static_keys.get("").is_some());
    for (keys, formats) in [
        (format!("test={file}"), "envelope"),
        (String::new(), "envelope,static"),
        (format!("test={file}.missing"), "envelope,static"),
        (
            "test-key-test-key-test-key-test!".to_owned(),
            "envelope,static",
        ),
        ("test=static".to_owned(), "envelope,static"),
    ] {
        let error = codec(&keys, formats).await.unwrap_err();
        let Error::Configuration(error) = error else {
            panic!("{error}")
        };
        assert_eq!(error.setting(), "TEMPORAL_CODEC_STATIC_KEYS", "{keys}");
        assert!(!error.to_string().contains("test-key"), "{error}");
    }
}
