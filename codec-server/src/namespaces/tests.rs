//! Which namespace a request is for, with any form of its path.

use temporal_kms_codec::{Codec, kms::local::LocalKeyring};
use temporal_kms_codec_service::namespaces::OnUndecodable;

use super::*;

fn namespaces(names: &[&str], prefixes: &[&str]) -> RequestNamespaces {
    let folder = tempfile::tempdir().unwrap();
    let key = LocalKeyring::open(folder.path())
        .key_or_create("default")
        .unwrap();
    let codecs = names.iter().map(|name| {
        let namespace = Namespace::new(name).unwrap();
        let codec = Codec::builder(namespace).encrypt_with(key.clone());
        NamespaceCodec::new(codec.build().unwrap(), OnUndecodable::Fail)
    });
    let prefixes = prefixes.iter().map(|prefix| Folder::parse(prefix).unwrap());
    RequestNamespaces::new(Arc::new(Namespaces::named(codecs)), prefixes.collect()).unwrap()
}

fn asked(
    namespaces: &RequestNamespaces,
    path: &str,
    header: Option<&str>,
) -> Result<String, Unresolved> {
    let header = header.map(|name| Namespace::new(name).unwrap());
    let (folder, _) = path.rsplit_once('/').unwrap();
    let requested = namespaces.requested(header, &Folder::parse(folder).unwrap())?;
    let served = namespaces.codec(requested)?;
    Ok(served.codec.namespace().to_string())
}

#[test]
fn path_and_header_must_agree_with_any_folders_between() {
    let served = namespaces(&["default", "staging", "prod", "a/b"], &["/codec"]);
    for path in [
        "/staging/decode",
        "/staging/x/decode",
        "/staging//decode",
        "/staging/./decode",
        "/staging/../prod/decode",
        "/x/staging/decode",
        "//staging/decode",
        "/staging/prod/decode",
        "/prod/staging/decode",
        "/%73taging/x/decode",
        "/staging%2Fx/decode",
        "/x%2fstaging/decode",
        "/STAGING/x/decode",
        "/Staging/decode",
        "/codec/staging/decode",
        "/a%2Fb/decode",
    ] {
        let answer = asked(&served, path, Some("prod"));
        let prod = Namespace::new("prod").unwrap();
        assert_eq!(answer, Err(Unresolved::Contradiction(prod)), "{path}");
    }
    for path in [
        "/decode",
        "//decode",
        "/prod/decode",
        "/prod//decode",
        "/x/prod/y/decode",
        "/PROD/decode",
        "/codec/decode",
        "/anything/else/decode",
        "/%FF/decode",
        "/production/decode",
    ] {
        assert_eq!(
            asked(&served, path, Some("prod")).as_deref(),
            Ok("prod"),
            "{path}"
        );
    }
    // Without a header the path alone must not contradict itself either.
    for (path, last) in [
        ("/staging/prod/decode", "prod"),
        ("/staging//decode", "default"),
        ("/staging/x/../prod/decode", "prod"),
    ] {
        let last = Namespace::new(last).unwrap();
        let refused = Err(Unresolved::Contradiction(last));
        assert_eq!(asked(&served, path, None), refused, "{path}");
    }
}

#[test]
fn a_path_names_a_namespace_that_is_configured_or_is_a_configured_prefix() {
    let served = namespaces(&["default", "prod"], &["/codec", "temporal/codec"]);
    for (path, expected) in [
        ("/decode", "default"),
        ("//decode", "default"),
        ("/codec/decode", "default"),
        ("/temporal/codec/decode", "default"),
        ("/prod/decode", "prod"),
        ("/codec/prod/decode", "prod"),
        ("/x/prod/decode", "prod"),
    ] {
        assert_eq!(
            asked(&served, path, None).as_deref(),
            Ok(expected),
            "{path}"
        );
    }
    for (path, segment) in [
        ("/nope/decode", "nope"),
        ("/Prod/decode", "Prod"),
        ("/a/b/c/decode", "c"),
        ("/prod/./decode", "."),
        ("/other/codec/decode", "codec"),
        ("/codec/codec/decode", "codec"),
        ("/{namespace}/decode", "{namespace}"),
    ] {
        let refused = Err(Unresolved::UnknownInPath(segment.to_owned()));
        assert_eq!(asked(&served, path, None), refused, "{path}");
    }
    let unknown = Namespace::new("nope").unwrap();
    assert_eq!(
        asked(&served, "/decode", Some("nope")),
        Err(Unresolved::Unknown(unknown))
    );
}

#[test]
fn a_request_without_a_namespace_is_refused_where_default_is_not_configured() {
    let served = namespaces(&["prod"], &[]);
    let unknown = Namespace::new("default").unwrap();
    assert_eq!(
        asked(&served, "/decode", None),
        Err(Unresolved::Unknown(unknown))
    );
}
