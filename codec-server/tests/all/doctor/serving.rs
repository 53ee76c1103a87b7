//! What a server needs beside its keys: certificates, issuers, logins, web pages that may call, and a running server.

use std::{fs, os::unix::fs::PermissionsExt as _};

use dev_servers::certificates::Authority;
use fake_oidc::{Fault, Server};
use serde_json::Value;

use crate::{
    doctor::bench::{Answer, Bench, GCP_KEY, closed_port, said},
    support::CodecServer,
};

const UI: &str = "https://ui.example.com";

/// With a configuration of one local key and these sections.
struct Serving(Bench);

impl Serving {
    fn new() -> Self {
        let bench = Bench::new();
        bench.local_key("default");
        Self(bench)
    }

    #[track_caller]
    fn doctor(&self, sections: &str, arguments: &[&str]) -> Answer {
        self.doctor_with(sections, arguments, &[])
    }

    #[track_caller]
    fn doctor_with(
        &self,
        sections: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Answer {
        let text = format!(
            "{sections}\n[keys]\nlocal_keyring = \"keys\"\n[namespaces.default]\nencrypt = [\"local://default\"]\n"
        );
        let file = self.0.file("codec.toml", &text);
        let all = [&["--config", file.as_str()], arguments].concat();
        // The TLS library logs certificates that it does not trust.
        let variables = [&[("RUST_LOG", "off")], variables].concat();
        self.0.doctor(&all, &variables)
    }

    fn path(&self, name: &str) -> String {
        self.0.folder.path().join(name).display().to_string()
    }

    /// `[tls]` with a certificate for these names.
    fn tls(&self, authority: &Authority, names: &[&str]) -> String {
        let key = authority.server(names).unwrap();
        key.write(self.0.folder.path()).unwrap();
        self.tls_of_files()
    }

    fn tls_of_files(&self) -> String {
        let (certificate, key) = (self.path("certificate.pem"), self.path("key.pem"));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        format!("[tls]\ncertificate = '{certificate}'\nkey = '{key}'\n")
    }

    fn issuer(&self, options: fake_oidc::Options) -> Server {
        let local = ([127, 0, 0, 1], 0).into();
        let starting = Server::start(local, options);
        self.0.runtime.block_on(starting).unwrap()
    }
}

/// The one finding of `check` that says `word`.
#[track_caller]
fn that_says<'a>(answer: &'a Answer, check: &str, word: &str) -> &'a Value {
    let found = answer.all(check);
    let says = |finding: &&&Value| finding["summary"].as_str().unwrap().contains(word);
    let mut said = found.iter().filter(says);
    let first = said.next();
    first.unwrap_or_else(|| panic!("{check}: no `{word}` in {found:#?}"))
}

#[track_caller]
fn failed(answer: &Answer, status: i32, check: &str, words: &[&str]) {
    assert_eq!(answer.status, status, "{:#?}", answer.findings);
    let failed = answer.with_status("failed");
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(failed[0]["check"], check);
    said(failed[0], words);
}

#[test]
fn good_certificates_are_told_with_their_names_and_their_end() {
    let bench = Serving::new();
    let authority = Authority::new("company").unwrap();
    let tls = bench.tls(&authority, &["codec.example.com", "127.0.0.1"]);
    let answer = bench.doctor(&tls, &[]);
    answer.healthy();
    assert!(answer.with_status("warning").is_empty());
    that_says(&answer, "certificate", "signed by CN=company");
    let names = that_says(&answer, "certificate", "it is for ");
    assert_eq!(
        names["names"],
        serde_json::json!(["codec.example.com", "127.0.0.1"])
    );
    let expiry = that_says(&answer, "certificate", "expires in");
    assert!(expiry["days_left"].as_u64().unwrap() > 300);
    assert!(expiry["expires"].as_str().unwrap().ends_with('Z'));
    said(expiry, &["used within 30s"]);
}

#[test]
fn every_mistake_of_certificates_is_told() {
    let bench = Serving::new();
    let authority = Authority::new("company").unwrap();
    let tls = bench.tls(&authority, &["codec.example.com"]);

    // Another key.
    let other = authority.server(&["other"]).unwrap();
    fs::write(bench.path("key.pem"), &other.key).unwrap();
    let answer = bench.doctor(&tls, &[]);
    failed(&answer, 78, "certificate", &["not the key", "[tls]"]);

    // No such file.
    fs::remove_file(bench.path("key.pem")).unwrap();
    let answer = bench.doctor(&tls, &[]);
    failed(&answer, 78, "certificate", &["key.pem", "cannot be read"]);

    // Expired.
    let expired = authority.expired_server(&["codec.example.com"]).unwrap();
    expired.write(bench.0.folder.path()).unwrap();
    let answer = bench.doctor(&bench.tls_of_files(), &[]);
    failed(
        &answer,
        78,
        "certificate",
        &["expired on 2001-01-01", "renew it"],
    );

    // Another chain.
    let tls = bench.tls(&authority, &["codec.example.com"]);
    let chain = fs::read_to_string(bench.path("certificate.pem")).unwrap();
    let foreign = Authority::new("foreign").unwrap();
    let append = |one: &str| {
        fs::write(bench.path("certificate.pem"), format!("{chain}{one}")).unwrap();
        bench.doctor(&tls, &[])
    };
    failed(
        &append(foreign.certificate()),
        78,
        "certificate",
        &["chain is broken", "CN=foreign follows", "in this order"],
    );
    let namesake = Authority::new("company").unwrap();
    failed(
        &append(namesake.certificate()),
        78,
        "certificate",
        &["chain is broken", "not signed with the key"],
    );
    let answer = append(authority.certificate());
    answer.healthy();
    that_says(&answer, "certificate", "2 certificates is complete");

    // Names that it lacks, and a key that everybody can read.
    let key = fs::Permissions::from_mode(0o644);
    fs::set_permissions(bench.path("key.pem"), key).unwrap();
    let more = format!("[server]\nallowed_hosts = [\"codec.internal\"]\n{tls}");
    let answer = bench.doctor(&more, &[]);
    answer.healthy();
    let names = that_says(&answer, "certificate", "codec.internal refuse it");
    assert_eq!(names["status"], "warning");
    that_says(
        &answer,
        "certificate",
        "every user of this machine can read",
    );

    // Client certificates.
    fs::write(bench.path("ca.pem"), &expired.certificate).unwrap();
    let tls = format!("{tls}client_ca = '{}'\n", bench.path("ca.pem"));
    let answer = bench.doctor(&tls, &[]);
    that_says(&answer, "certificate", "the clients' authority");
}

#[test]
fn a_server_that_others_reach_without_tls_is_worth_a_warning() {
    let bench = Serving::new();
    let remote = "[server]\nlisten = \"0.0.0.0:8081\"\ninsecure_without_authentication = true\n";
    let answer = bench.doctor(remote, &[]);
    answer.healthy();
    that_says(&answer, "certificate", "without TLS");
}

#[test]
fn the_web_ui_may_call_or_it_is_told_what_to_add() {
    let bench = Serving::new();
    let cors = |origins: &str| format!("[cors]\nallowed_origins = [{origins}]\n");
    let ui = ["--ui", "https://ui.example.com/namespaces/default"];
    let answer = bench.doctor(&cors("\"https://ui.example.com\""), &ui);
    answer.healthy();
    let finding = that_says(&answer, "cors", "the Web UI at");
    assert_eq!(finding["origin"], UI);

    let answer = bench.doctor(&cors("\"http://ui.example.com:8080\""), &ui);
    failed(
        &answer,
        78,
        "cors",
        &[
            "`Origin: https://ui.example.com`",
            "another scheme or port",
            "add \"https://ui.example.com\"",
        ],
    );
    that_says(&answer, "cors", "comes without TLS");

    let answer = bench.doctor("", &ui);
    failed(&answer, 78, "cors", &["is not allowed"]);
    that_says(&answer, "cors", "`allowed_origins` is empty");

    let local = "[cors]\nallow_local_origins = true\n";
    bench
        .doctor(local, &["--ui", "http://localhost:8233"])
        .healthy();

    // Browsers never send the usual port.
    let answer = bench.doctor(&cors("\"https://ui.example.com:443\""), &ui);
    answer.stopped_at("configuration", 78, &["cors.allowed_origins", ":443"]);

    let usage = bench.doctor_command(&["--ui", "ui.example.com"]);
    assert_eq!(usage.status.code(), Some(64));
}

impl Serving {
    fn doctor_command(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = self.0.command();
        command.arg("doctor").args(arguments).output().unwrap()
    }
}

fn of_issuer(issuer: &str, more: &str) -> String {
    format!("[auth.issuers.company]\nissuer = \"{issuer}\"\naudience = [\"codec\"]\n{more}\n")
}

#[test]
fn an_issuer_is_asked_for_its_documents_and_its_time() {
    let bench = Serving::new();
    let issuer = bench.issuer(fake_oidc::Options::default());
    let sections = of_issuer(issuer.issuer(), "id_token_audience = [\"ui\"]");
    let answer = bench.doctor(&sections, &[]);
    answer.healthy();
    let found = that_says(&answer, "issuer", "answers");
    assert_eq!(
        (&found["issuer"], &found["keys"]),
        (&"company".into(), &4.into())
    );
    that_says(
        &answer,
        "issuer",
        "access tokens for codec, and ID tokens for ui",
    );
    let clocks = answer.all("clock");
    let clock = clocks.iter().find(|one| one["issuer"] == "company");
    assert_eq!(clock.unwrap()["status"], "ok");
}

#[test]
fn every_mistake_of_an_issuer_is_told() {
    let bench = Serving::new();
    let issuer = bench.issuer(fake_oidc::Options::default());
    let sections = of_issuer(issuer.issuer(), "");
    for (fault, status, words) in [
        (Fault::Error, 69, "answered 500"),
        (Fault::Redirect, 78, "answered 302"),
        (Fault::NotJson, 78, "not the expected JSON"),
        (Fault::Huge, 78, "larger than 512 KiB"),
        (Fault::OtherIssuer, 78, "names another issuer"),
        (Fault::PlainKeys, 78, "jwks_uri"),
        (Fault::NoKeys, 78, "no key that checks signatures"),
    ] {
        issuer.fail(Some(fault));
        let answer = bench.doctor(&sections, &[]);
        failed(&answer, status, "issuer", &[words]);
        assert!(!format!("{:?}", answer.findings).contains("secret-of-the-issuer"));
    }
    issuer.fail(Some(Fault::WrongClock));
    let answer = bench.doctor(&sections, &[]);
    failed(
        &answer,
        78,
        "clock",
        &["seconds behind the issuer's", "NTP"],
    );

    issuer.fail(None);
    let answer = bench.doctor(&of_issuer(issuer.issuer(), "algorithms = [\"RS384\"]"), &[]);
    failed(
        &answer,
        78,
        "issuer",
        &["signs with RS256", "only RS384 is accepted"],
    );
    let nobody = format!("http://{}", closed_port());
    let answer = bench.doctor(&of_issuer(&nobody, ""), &[]);
    failed(&answer, 69, "issuer", &["cannot be reached", "HTTPS_PROXY"]);
    let missing = format!("{sections}[auth.http]\nca_file = \"/nonexistent\"\n");
    let answer = bench.doctor(&missing, &[]);
    failed(
        &answer,
        78,
        "issuer",
        &["auth.http.ca_file", "/nonexistent"],
    );
}

#[test]
fn an_issuer_with_a_private_authority_is_asked_with_it() {
    let bench = Serving::new();
    let authority = Authority::new("company").unwrap();
    let own = authority.server(&["localhost"]).unwrap();
    let issuer = bench.issuer(fake_oidc::Options {
        tls: Some(fake_oidc::Identity {
            certificate: own.certificate.clone(),
            key: own.key.clone(),
        }),
        ..fake_oidc::Options::default()
    });
    let sections = of_issuer(issuer.issuer(), "");
    let answer = bench.doctor(&sections, &[]);
    failed(
        &answer,
        69,
        "issuer",
        &["certificate authorities", "ca_file"],
    );
    let file = bench.0.file("ca.pem", authority.certificate());
    let sections = format!("{sections}[auth.http]\nca_file = '{file}'\n");
    bench.doctor(&sections, &[]).healthy();
}

#[test]
fn every_mistake_of_a_login_is_told() {
    let bench = Serving::new();
    let issuer = bench.issuer(fake_oidc::Options::default());
    let secret = bench
        .0
        .file("secret", "0123456789012345678901234567890123456789");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let login = |more: &str| {
        format!(
            "{}[auth.login]\nissuer = \"company\"\nclient_id = \"codec\"\n\
             redirect_url = \"https://codec.example.com/auth/callback\"\n{more}\n",
            of_issuer(issuer.issuer(), "")
        )
    };
    let good = format!(
        "secret_file = '{secret}'\nreturn_origins = [\"{UI}\"]\n[cors]\nallowed_origins = [\"{UI}\"]"
    );
    let answer = bench.doctor(&login(&good), &["--ui", UI]);
    answer.healthy();
    assert!(
        answer.with_status("warning").is_empty(),
        "{:#?}",
        answer.findings
    );
    that_says(&answer, "login", "with PKCE");
    that_says(&answer, "login", "as the redirect URI");

    for (fault, words) in [
        (Fault::NoPkce, "does not support PKCE"),
        (Fault::NoLogin, "no authorization endpoint"),
    ] {
        issuer.fail(Some(fault));
        failed(&bench.doctor(&login(&good), &[]), 78, "login", &[words]);
    }
    issuer.fail(None);
    let answer = bench.doctor(
        &login("[cors]\nallow_credentials = false"),
        &["--ui", "https://ui.example.net"],
    );
    for words in [
        "`secret_file` is not set",
        "`allow_credentials` is false",
        "does not return there",
        "different sites",
    ] {
        let finding = that_says(&answer, "login", words);
        assert_eq!(finding["status"], "warning");
    }
    let answer = bench.doctor(&login("client_secret_file = \"/nonexistent\""), &[]);
    failed(
        &answer,
        78,
        "login",
        &["auth.login.client_secret_file", "/nonexistent"],
    );
}

#[test]
fn a_running_server_gets_what_the_web_ui_sends() {
    let bench = Serving::new();
    let authority = Authority::new("company").unwrap();
    let trusted = bench.0.file("authority.pem", authority.certificate());
    let own = authority.server(&["localhost", "127.0.0.1"]).unwrap();
    let tls = format!("{}[cors]\nallowed_origins = [\"{UI}\"]\n", {
        own.write(bench.0.folder.path()).unwrap();
        bench.tls_of_files()
    });
    let server = CodecServer::configured(|_| {
        format!("{tls}[namespaces.default]\nencrypt = [\"local://default\"]\n")
    });
    let there = ["--server", server.url(), "--ui", UI];
    let trust = [("SSL_CERT_FILE", trusted.as_str())];
    let answer = bench.doctor_with(&tls, &there, &trust);
    answer.healthy();
    for words in [
        "answers in",
        "may send what the Web UI sends",
        "shows that of the file",
        "request: it is answered",
    ] {
        let finding = that_says(&answer, "server", words);
        assert_eq!(finding["server"], server.url());
    }

    // Nobody trusts the authority.
    let answer = bench.doctor(&tls, &there);
    failed(&answer, 69, "server", &["TLS fails", "trusts its issuer"]);

    // The file has another certificate now, and the Web UI another address.
    let newer = authority.server(&["localhost", "127.0.0.1"]).unwrap();
    let other = bench.path("newer");
    fs::create_dir(&other).unwrap();
    let (certificate, key) = newer.write(std::path::Path::new(&other)).unwrap();
    let changed = format!(
        "[tls]\ncertificate = '{}'\nkey = '{}'\n[cors]\nallowed_origins = [\"https://new.example.com\"]\n\
",
        certificate.display(),
        key.display()
    );
    let there = ["--server", server.url(), "--ui", "https://new.example.com"];
    let answer = bench.doctor_with(&changed, &there, &trust);
    that_says(&answer, "server", "clients see another one");
    let preflight = that_says(&answer, "server", "the server allows no origin");
    said(preflight, &["reload the running server"]);
    let refused = that_says(&answer, "server", "the answer is 403");
    said(refused, &["this web page may not use the codec server"]);
    assert_eq!(answer.status, 78);

    // The file has callers, and the server knows nobody.
    let callers = format!(
        "{tls}[auth.tokens.a]\nsha256 = [\"{}\"]\npermissions = [\"default:read\"]\n",
        "0".repeat(64)
    );
    let answer = bench.doctor_with(&callers, &["--server", server.url()], &trust);
    failed(&answer, 78, "server", &["answers everybody"]);
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let bench = Serving::new();
    let url = format!("http://{}", closed_port());
    let answer = bench.doctor("", &["--server", &url]);
    failed(
        &answer,
        69,
        "server",
        &["the connection is refused", "--server names it"],
    );
    let there = ["--server", "http://codec.invalid", "--ui", UI];
    let cors = format!("[cors]\nallowed_origins = [\"{UI}\"]\n");
    let answer = bench.doctor(&cors, &there);
    that_says(&answer, "cors", "browsers do not let a page with TLS call");
    let host = that_says(&answer, "server", "the host codec.invalid are refused");
    said(host, &["add \"codec.invalid\" to `allowed_hosts`"]);
}

#[test]
fn people_read_it_below_titles() {
    let bench = Serving::new();
    let text = format!(
        "[cors]\nallowed_origins = [\"{UI}\"]\n[keys]\nlocal_keyring = \"keys\"\n\
         [namespaces.default]\nencrypt = [\"local://default\"]\n"
    );
    let file = bench.0.file("codec.toml", &text);
    let output = bench.doctor_command(&["--config", &file, "--samples", "1", "--ui", UI]);
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = format!(
        "\nWeb pages\n  ok       CORS           {UI} may call, with cookies\n  ok       CORS           the Web UI at {UI} may call\n"
    );
    assert!(text.contains(&expected), "{text}");
}

/// A folder for an audit log, and its section with more settings.
fn audit_log(bench: &Serving, settings: &str) -> String {
    let folder = bench.path("audit");
    let _ = fs::create_dir(&folder);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    format!("[audit]\nfolder = '{folder}'\n{settings}\n")
}

#[test]
fn an_audit_log_that_can_be_written_and_signed_is_told() {
    let bench = Serving::new();
    let create = ["create", "local://audit", "--purpose", "sign-ed25519"];
    bench
        .0
        .keys(&[&create[..], &["--keyring", "keys"]].concat());
    let section = audit_log(&bench, "anchor_key = \"local://audit\"");
    let answer = bench.doctor(&section, &[]);
    answer.healthy();
    that_says(&answer, "audit-log", "is private and can be written");
    that_says(&answer, "audit-log", "local://audit signs its anchors");
    // Nothing was written.
    assert_eq!(fs::read_dir(bench.path("audit")).unwrap().count(), 0);
    let unsigned = bench.doctor(&audit_log(&bench, ""), &[]);
    unsigned.healthy();
    that_says(&unsigned, "audit-log", "has no `anchor_key`");
    let stream = bench.doctor("[audit]\nstdout = true\n", &[]);
    stream.healthy();
    that_says(&stream, "audit-log", "standard output");
    assert!(bench.doctor("", &[]).all("audit-log").is_empty());
}

#[test]
fn an_audit_log_that_cannot_be_written_or_signed_is_told() {
    let bench = Serving::new();
    let section = audit_log(&bench, "");
    fs::set_permissions(bench.path("audit"), fs::Permissions::from_mode(0o777)).unwrap();
    let answer = bench.doctor(&section, &[]);
    failed(
        &answer,
        78,
        "audit-log",
        &["other users can change", "chmod go-w"],
    );
    fs::remove_dir(bench.path("audit")).unwrap();
    let answer = bench.doctor(&section, &[]);
    failed(&answer, 78, "audit-log", &["does not exist", "install -d"]);

    // A key that encrypts does not sign.
    let section = audit_log(&bench, "anchor_key = \"local://default\"");
    let answer = bench.doctor(&section, &[]);
    failed(&answer, 78, "key", &["for another purpose", "encrypt"]);
    let words = "`[audit] anchor_key` is local://default, and its check above failed";
    let unsigned = that_says(&answer, "audit-log", words);
    said(unsigned, &["`anchor_key` in section [audit]"]);

    // The permission is missing.
    bench.0.keys(&["create", GCP_KEY, "--purpose", "sign-p256"]);
    bench.0.faults(&["deny@AsymmetricSign"]);
    let section = audit_log(&bench, &format!("anchor_key = \"{GCP_KEY}\""));
    let endpoint = bench.0.emulator.url();
    let variables = [("GCP_KMS_ENDPOINT", endpoint.as_str())];
    let answer = bench.doctor_with(&section, &[], &variables);
    let words = ["permission denied", "roles/cloudkms.signer"];
    failed(&answer, 77, "permission", &words);
}
