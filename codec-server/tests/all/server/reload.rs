//! A running server takes over a changed configuration, or keeps the one that it has.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
};

use fake_aws_kms::Account;
use nix::sys::signal::Signal;
use temporal_kms_codec_service::auth::NewToken;
use tokio::runtime::Runtime;

use crate::support::{Cloud, CodecServer, body_of, create_key, google_user, plain};

const DEFAULT: &str = "[namespaces.default]\nencrypt = [\"local://default\"]\n";
const IN_USE: &str = "the configuration is read again and in use";

/// Without looking at files by itself, so that a test decides when.
fn serve(namespaces: &str) -> CodecServer {
    CodecServer::serve(
        "",
        &format!("[reload]\nwatch_interval = \"0s\"\n{namespaces}"),
    )
}

fn reload(server: &mut CodecServer) {
    server.signal(Signal::SIGHUP);
    server.wait_for_log(IN_USE);
}

#[test]
fn a_new_namespace_is_served_without_a_restart() {
    let mut server = serve(DEFAULT);
    let body = plain(&["text"]);
    server
        .call("/encode", "new", &body)
        .refused(404, "does not serve the namespace new");
    create_key(server.keyring(), "new");
    let new = "[namespaces.new]\nencrypt = [\"local://new\"]\n";
    server.rewrite(DEFAULT, &format!("{DEFAULT}{new}"));
    reload(&mut server);
    let sealed = server.encode("new", &body);
    assert_eq!(server.call("/decode", "new", &sealed).json(), body);
    server.rewrite(new, "");
    reload(&mut server);
    server
        .call("/decode", "new", &sealed)
        .refused(404, "does not serve the namespace new");
    server.serves();
}

#[test]
fn the_level_of_the_log_changes_and_a_bad_one_changes_nothing() {
    // Without RUST_LOG, which would decide.
    let watched = format!("[reload]\nwatch_interval = \"0s\"\n{DEFAULT}");
    let mut server = CodecServer::serve_with("", &watched, &[("RUST_LOG", "")]);
    let request = |server: &CodecServer| {
        let headers = [("X-Namespace", "default")];
        let answer = server.post("/encode", &headers, &body_of(&plain(&["a"])));
        answer.header("x-request-id").unwrap().to_owned()
    };
    let shown = request(&server);
    let error = format!("{DEFAULT}[log]\nlevel = \"error\"\n");
    server.rewrite(DEFAULT, &error);
    reload(&mut server);
    server.wait_for_metric("codec_server_configuration_generation 2");
    let hidden = request(&server);

    let bad = error.replace("error", "verbose");
    server.rewrite(&error, &bad);
    server.signal(Signal::SIGHUP);
    server.wait_for_log("log.level");
    let hidden_too = request(&server);

    server.rewrite(&bad, DEFAULT);
    server.signal(Signal::SIGHUP);
    server.wait_for_metric("codec_server_configuration_generation 3");
    let shown_again = request(&server);
    let log = server.stop_and_log();
    for (id, is_there) in [
        (shown, true),
        (hidden, false),
        (hidden_too, false),
        (shown_again, true),
    ] {
        assert_eq!(log.contains(&id), is_there, "{id}: {log}");
    }
}

#[test]
fn rust_log_decides_where_it_is_set() {
    let level = format!("[reload]\nwatch_interval = \"0s\"\n[log]\nlevel = \"error\"\n{DEFAULT}");
    let mut server = CodecServer::serve_with("", &level, &[("RUST_LOG", "info")]);
    server.wait_for_log("RUST_LOG decides");
    reload(&mut server);
}

#[test]
fn a_changed_static_key_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, "0".repeat(64)).unwrap();
    let namespace = format!(
        "[reload]\nwatch_interval = \"20ms\"\n{DEFAULT}decrypt_formats = [\"envelope\", \"static\"]\nstatic_keys = {{ a = '{}' }}\n",
        key.display()
    );
    let mut server = CodecServer::serve("", &namespace);
    server.wait_for_log("ready: every encrypting key answers");
    fs::write(&key, "1".repeat(64)).unwrap();
    server.wait_for_log(IN_USE);
    // Not a key.
    fs::write(&key, "2").unwrap();
    server.wait_for_log("does not hold a key");
    server.serves();
}

#[test]
fn replaced_credentials_are_used_and_damaged_ones_are_refused() {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let cloud = runtime.block_on(Cloud::start());
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("gcp.json");
    let replace = |content: &str| fs::write(&credentials, content).unwrap();
    replace(&google_user("first"));
    let file = folder.path().join("codec.toml");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[reload]\nwatch_interval = \"20ms\"\n\
         [keys]\ngcp_endpoint = '{}'\ngcp_credentials = '{}'\n{}",
        cloud.url(),
        credentials.display(),
        Cloud::namespace()
    );
    fs::write(&file, text).unwrap();
    let mut server = CodecServer::serve_file(&file);
    let wraps_as = |server: &CodecServer, token: &str| {
        server.serves();
        assert_eq!(cloud.last_token("Encrypt").as_deref(), Some(token));
    };
    wraps_as(&server, "token-of-first");
    replace(&google_user("second"));
    server.wait_for_log(IN_USE);
    wraps_as(&server, "token-of-second");

    replace("{");
    server.wait_for_log("does not have the form of a Google Cloud credentials file");
    server.wait_for_log("the configuration before is still in use");
    server.signal(Signal::SIGUSR1);
    server.wait_for_log("every data key in memory is dropped");
    wraps_as(&server, "token-of-second");

    replace(&google_user("third"));
    server.wait_for_log(IN_USE);
    wraps_as(&server, "token-of-third");
}

#[test]
fn replaced_credentials_in_the_home_folder_are_used() {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let account = Account::new();
    let aws = runtime.block_on(account.serve("eu-west-1")).unwrap();
    let key = account.symmetric_key("eu-west-1");
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    let replace = |access_key: &str| {
        let text = format!(
            "[default]\naws_access_key_id = {access_key}\naws_secret_access_key = sk-secret\n"
        );
        fs::write(home.path().join(".aws/credentials"), text).unwrap();
    };
    replace("AKIAFIRST");
    let variables = [("HOME", path(home.path())), ("AWS_ENDPOINT_URL", aws.url())];
    let mut server = CodecServer::configured_with(&variables, |_| {
        format!(
            "[reload]\nwatch_interval = \"20ms\"\n[namespaces.default]\nencrypt = [\"aws-kms://{key}\"]\n"
        )
    });
    let wraps_as = |server: &CodecServer, access_key: &str| {
        server.serves();
        let calls = aws.calls();
        let call = calls
            .iter()
            .rfind(|call| call.operation == "GenerateDataKey");
        assert_eq!(call.unwrap().access_key.as_deref(), Some(access_key));
    };
    wraps_as(&server, "AKIAFIRST");
    replace("AKIASECOND");
    server.wait_for_log(IN_USE);
    wraps_as(&server, "AKIASECOND");
}

#[test]
fn a_bad_file_changes_nothing_and_is_reported_with_every_mistake() {
    let mut server = serve(DEFAULT);
    server.wait_for_log("ready: every encrypting key answers");
    let bad = format!(
        "{DEFAULT}fromat = \"x\"\nplaintext = \"no\"\n[namespaces.new]\nencrypt = [\"local://nope\"]\n"
    );
    server.rewrite(DEFAULT, &bad);
    server.signal(Signal::SIGHUP);
    server.wait_for_log("did you mean `format`");
    server.wait_for_log("namespaces.default.plaintext");
    server.wait_for_log("no key local://nope in");
    server.wait_for_log("the configuration before is still in use");
    server.serves();
    server
        .call("/encode", "new", &plain(&["x"]))
        .refused(404, "does not serve the namespace");
    let ready = server.admin("/readyz");
    assert_eq!(ready.status, 200, "it still does its work");
    assert!(
        ready.body.contains("degraded: configuration: "),
        "{}",
        ready.body
    );
    server.rewrite(&bad, DEFAULT);
    reload(&mut server);
    assert_eq!(server.admin("/readyz").body, "ready\n");
}

#[test]
fn a_reload_does_not_end_authentication() {
    let token = NewToken::generate().unwrap();
    let auth = format!(
        "[auth.tokens.worker]\nsha256 = [\"{}\"]\npermissions = [\"default:read\", \"default:write\"]\n",
        token.sha256
    );
    let mut server = serve(&format!("{auth}{DEFAULT}"));
    server.wait_for_log("ready: every encrypting key answers");
    let unknown = |server: &CodecServer| server.call("/encode", "default", &plain(&["a"])).status;
    assert_eq!(unknown(&server), 401);
    for less in ["", "[auth]\nmax_token = \"8KiB\"\n", "[auth.tokens]\n"] {
        server.rewrite(&auth, less);
        server.signal(Signal::SIGHUP);
        server.wait_for_log("so everybody could decrypt");
        server.wait_for_log("the configuration before is still in use");
        assert_eq!(unknown(&server), 401, "{less}");
        let ready = server.admin("/readyz").body;
        assert!(ready.contains("degraded: configuration: "), "{ready}");
        let text = fs::read_to_string(server.configuration()).unwrap();
        let restored = text.replacen(&format!("{less}{DEFAULT}"), &format!("{auth}{DEFAULT}"), 1);
        fs::write(server.configuration(), restored).unwrap();
    }
    reload(&mut server);
    assert_eq!(server.admin("/readyz").body, "ready\n");
    assert_eq!(unknown(&server), 401);
}

#[test]
fn a_removed_key_decrypts_no_more() {
    let both = "[namespaces.default]\nencrypt = [\"local://new\"]\ndecrypt = [\"local://old\"]\n";
    let old = "[namespaces.default]\nencrypt = [\"local://old\"]\n";
    let mut server = serve(old);
    let sealed = server.encode("default", &plain(&["old"]));
    create_key(server.keyring(), "new");
    server.rewrite(old, both);
    reload(&mut server);
    assert_eq!(
        server.call("/decode", "default", &sealed).json(),
        plain(&["old"])
    );
    server.rewrite("decrypt = [\"local://old\"]\n", "");
    reload(&mut server);
    server
        .call("/decode", "default", &sealed)
        .refused(400, "not configured to use");
    server.serves();
}

#[test]
fn a_pattern_serves_each_namespace_apart() {
    let server = serve(
        "[namespaces.\"team-*\"]\nencrypt = [\"local://teams\"]\n[namespaces.team-b]\nencrypt = [\"local://b\"]\n",
    );
    let body = plain(&["text"]);
    for name in ["team-a", "team-c", "team-b"] {
        let sealed = server.encode(name, &body);
        assert_eq!(server.call("/decode", name, &sealed).json(), body, "{name}");
        let other = server.call("/decode", "team-x", &sealed);
        assert_ne!(other.status, 200, "{name}: {}", other.body);
    }
    for unknown in ["default", "team", "Team-a", "xteam-a"] {
        let answer = server.call("/encode", unknown, &body);
        answer.refused(404, "does not serve the namespace");
    }
    // The path is of the form of the pattern, too.
    let answer = server.call("/team-a/encode", "team-c", &body);
    answer.refused(400, "namespace");
}

#[test]
fn a_namespace_has_limits_of_its_own() {
    let mut server = serve(
        "[namespaces.small]\nencrypt = [\"local://a\"]\nmax_payloads = 1\nmax_body = \"1KiB\"\n\
         [namespaces.slow]\nencrypt = [\"local://a\"]\nmax_rate = 1\n\
         [namespaces.other]\nencrypt = [\"local://a\"]\n",
    );
    let (one, two) = (plain(&["a"]), plain(&["a", "b"]));
    let large = plain(&["x".repeat(2000).as_str()]);
    server.encode("small", &one);
    server
        .call("/encode", "small", &two)
        .refused(413, "payloads");
    server.call("/encode", "small", &large).refused(413, "1024");
    server.encode("slow", &one);
    let again = server.call("/encode", "slow", &one);
    again.refused(429, "namespace");
    server.encode("other", &two);
    server.encode("other", &large);
    server.rewrite("max_rate = 1\n", "");
    reload(&mut server);
    server.encode("slow", &one);
    server.encode("slow", &one);
}

#[test]
fn a_namespace_that_accepts_another_decodes_its_payloads() {
    let server = serve(
        "[namespaces.caller]\nencrypt = [\"local://a\"]\n\
         [namespaces.handler]\nencrypt = [\"local://a\"]\naccept_namespaces = [\"caller\"]\n\
         [namespaces.other]\nencrypt = [\"local://a\"]\n",
    );
    let body = plain(&["through Nexus"]);
    let sealed = server.encode("caller", &body);
    assert_eq!(server.call("/decode", "handler", &sealed).json(), body);
    assert_ne!(server.call("/decode", "other", &sealed).status, 200);
}

#[test]
fn a_namespace_without_a_key_to_encrypt_with_decodes_only() {
    let both = "[namespaces.default]\nencrypt = [\"local://default\"]\n";
    let mut server = serve(both);
    let sealed = server.encode("default", &plain(&["text"]));
    server.rewrite("encrypt = ", "decrypt = ");
    reload(&mut server);
    assert_eq!(
        server.call("/decode", "default", &sealed).json(),
        plain(&["text"])
    );
    let refused = server.call("/encode", "default", &plain(&["text"]));
    assert_ne!(refused.status, 200);
    assert_eq!(server.admin("/readyz").status, 200);
}

/// Kubernetes exchanges a link to a folder, so that the file itself is never written.
#[test]
fn a_configuration_that_is_exchanged_as_kubernetes_does_it_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["default", "new"] {
        create_key(&at("keys"), name);
    }
    let text = |more: &str| {
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[reload]\nwatch_interval = \"20ms\"\n\
             [keys]\nlocal_keyring = '{}'\n{DEFAULT}{more}",
            at("keys").display()
        )
    };
    let new = "[namespaces.new]\nencrypt = [\"local://new\"]\n";
    let publish = |version: &str, text: &str| {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("codec.toml"), text).unwrap();
        symlink(version, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    publish("..1", &text(""));
    symlink("..data/codec.toml", at("codec.toml")).unwrap();
    let mut server = CodecServer::serve_file(&at("codec.toml"));
    server.serves();
    publish("..2", &text(new));
    server.wait_for_log(IN_USE);
    let body = plain(&["text"]);
    server.encode("new", &body);
    publish("..3", "not TOML");
    server.wait_for_log("the configuration before is still in use");
    server.encode("new", &body);
    publish("..4", &text(""));
    server.wait_for_log(IN_USE);
    assert_eq!(server.call("/encode", "new", &body).status, 404);
}

#[test]
fn no_request_fails_while_the_configuration_changes() {
    let mut running = serve(DEFAULT);
    create_key(running.keyring(), "other");
    let other = "[namespaces.default]\nencrypt = [\"local://other\"]\ndecrypt = [\"local://default\"]\nmax_payloads = 50\n";
    let other = &format!("[limits]\nnamespace_requests = 64\n{other}");
    let (done, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let first = running.encode("default", &plain(&["first"]));
    let address = running.address().to_owned();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    use crate::support::{Connection, body_of, post};
                    let mut connection = Connection::open(&address);
                    let headers = [("X-Namespace", "default")];
                    connection.send(&post("/decode", &headers, &body_of(&first)));
                    assert_eq!(connection.answer().json(), plain(&["first"]));
                    served.fetch_add(1, SeqCst);
                }
            });
        }
        for round in 0..20 {
            let (from, to) = if round % 2 == 0 {
                (DEFAULT, other.as_str())
            } else {
                (other.as_str(), DEFAULT)
            };
            // With the key of the first round, every configuration decrypts.
            running.rewrite(from, to);
            reload(&mut running);
        }
        done.store(true, SeqCst);
    });
    assert!(served.load(SeqCst) > 0);
    running.serves();
}

#[test]
fn settings_that_need_a_restart_are_named_and_the_others_count() {
    let mut server = serve(DEFAULT);
    server.rewrite(
        "listen = \"127.0.0.1:0\"\nadmin",
        "listen = \"127.0.0.1:1\"\nmax_headers = \"64KiB\"\nmax_payloads = 1\nadmin",
    );
    server.signal(Signal::SIGHUP);
    server.wait_for_log("server.listen");
    server.wait_for_log("server.max_headers");
    server.wait_for_log(IN_USE);
    server.serves();
    let two = server.call("/encode", "default", &plain(&["a", "b"]));
    assert_ne!(two.status, 200);
    let ready = server.admin("/readyz").body;
    assert!(ready.contains("after a restart"), "{ready}");
}

#[test]
fn data_keys_stay_in_memory_over_a_reload_and_are_dropped_on_demand() {
    let mut server = serve(DEFAULT);
    let body = plain(&["text"]);
    let sealed = server.encode("default", &body);
    let key = server.keyring().join("default.json");
    let hidden = server.keyring().join("hidden");
    fs::rename(&key, &hidden).unwrap();
    assert_eq!(server.call("/decode", "default", &sealed).json(), body);
    fs::rename(&hidden, &key).unwrap();

    // The namespace is as it was, so that its data keys stay.
    server.rewrite(DEFAULT, &format!("{DEFAULT}max_payloads = 7\n"));
    reload(&mut server);
    fs::rename(&key, &hidden).unwrap();
    assert_eq!(server.call("/decode", "default", &sealed).json(), body);
    server.signal(Signal::SIGUSR1);
    server.wait_for_log("every data key in memory is dropped");
    assert_ne!(server.call("/decode", "default", &sealed).status, 200);
    fs::rename(&hidden, &key).unwrap();
    server.serves();
}

#[test]
fn a_request_in_flight_finishes_under_the_configuration_that_it_began_with() {
    let mut server = serve(DEFAULT);
    let (mut connection, rest) = super::lifecycle::in_flight(&server);
    let gone = "[namespaces.other]\nencrypt = [\"local://default\"]\n";
    server.rewrite(DEFAULT, gone);
    reload(&mut server);
    server
        .call("/encode", "default", &plain(&["x"]))
        .refused(404, "does not serve the namespace");
    connection.send(&rest);
    assert_eq!(connection.answer().status, 200);
}

#[test]
fn a_server_without_a_file_reads_its_variables_again_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    create_key(folder.path(), "default");
    let mut server = CodecServer::serve_with_variables(&[
        ("TEMPORAL_CODEC_KEY", "local://default"),
        ("TEMPORAL_CODEC_KEYRING", path(folder.path())),
    ]);
    reload(&mut server);
    server.serves();
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
