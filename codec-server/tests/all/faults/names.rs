//! The name of the key service no longer resolves.

use std::{fs, path::Path};

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::{CLOUD_KEY, Cloud, CodecServer, plain, until};

const RESOLVES: &str = "127.0.0.1 localhost\n";
const DOES_NOT: &str = "127.0.0.1 elsewhere.invalid\n";

/// A server that looks names up in a file of its own, and at a name server that does not exist.
fn server(cloud: &Cloud, names: &Path) -> CodecServer {
    fs::write(names, RESOLVES).unwrap();
    let resolver = names.with_extension("resolver");
    fs::write(
        &resolver,
        "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    )
    .unwrap();
    let url = cloud.url().replace("127.0.0.1", "localhost");
    let commands = format!(
        "mount --bind '{}' /etc/hosts && mount --bind '{}' /etc/resolv.conf || exit 99; export GCP_KMS_ENDPOINT={url}",
        names.display(),
        resolver.display()
    );
    let settings = format!(
        "[namespaces.default]\nencrypt = [\"{CLOUD_KEY}\"]\n\
         [keys.calls]\nattempt_timeout = \"500ms\"\ntotal_timeout = \"2s\"\nbreaker_pause = \"100ms\"\n"
    );
    CodecServer::configured_in_mounts_of_its_own(&commands, &settings)
}

#[test]
fn a_name_that_does_not_resolve_fails_only_what_needs_the_key_service() {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let cloud = runtime.block_on(Cloud::start());
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("hosts");
    let mut server = server(&cloud, &names);
    server.wait_for_log("ready: every encrypting key answers");
    let plaintext = plain(&["a"]);
    let known = server.encode("default", &plaintext);
    let unknown = cloud.sealed_elsewhere(&plaintext);
    let decode = |body: &Value| server.call("/decode", "default", body);

    fs::write(&names, DOES_NOT).unwrap();
    // Connections that are open would still work: the fake closes them.
    cloud.fault(&["dead"]);
    let refused = || {
        let answer = decode(&unknown);
        assert_eq!(answer.status, 503, "{}", answer.body);
    };
    refused();
    cloud.fault(&[]);
    let calls = cloud.calls();
    for round in 0..200 {
        assert_ne!(server.encode("default", &plaintext), plaintext);
        assert_eq!(decode(&known).json(), plaintext);
        if round % 10 == 0 {
            refused();
        }
    }
    assert_eq!(cloud.calls(), calls, "the name still resolves");

    fs::write(&names, RESOLVES).unwrap();
    let opened = until(|| {
        let answer = decode(&unknown);
        if answer.status == 200 {
            return Ok(answer.json());
        }
        assert_eq!(answer.status, 503, "{}", answer.body);
        Err(answer.body)
    });
    assert_eq!(opened, plaintext);
}
