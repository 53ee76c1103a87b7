//! TLS: both versions of HTTP, certificates that are replaced while the server runs, and client certificates.

use std::{
    fs,
    path::Path,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use dev_servers::certificates::{Authority, CertifiedKey};
use nix::sys::signal::Signal;
use tokio::{io::AsyncReadExt as _, net::TcpStream, runtime::Runtime};

use crate::support::{CodecServer, Http2, Tls, body_of, plain, post};

const NAMESPACE: &str = "[namespaces.default]\nencrypt = [\"local://default\"]\n";

fn certificate(authority: &Authority) -> CertifiedKey {
    authority.server(&["localhost", "127.0.0.1"]).unwrap()
}

/// Writes the certificate, and returns the section of the configuration.
fn section(folder: &Path, key: &CertifiedKey, more: &str) -> String {
    let (certificate, key) = key.write(folder).unwrap();
    format!(
        "[tls]\ncertificate = '{}'\nkey = '{}'\n{more}\n{NAMESPACE}",
        certificate.display(),
        key.display()
    )
}

fn start(authority: &Authority, more: &str) -> CodecServer {
    let key = certificate(authority);
    CodecServer::configured(|folder| section(folder, &key, more))
}

async fn serves_http1(tls: &Tls, url: &str) {
    let request = post("/encode", &[], &body_of(&plain(&["a"])));
    let answer = tls.raw(url, &request).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[test]
fn both_versions_of_http_are_served_over_tls() {
    let authority = Authority::new("servers").unwrap();
    let server = start(&authority, "");
    assert!(server.url().starts_with("https://"), "{}", server.url());
    let tls = Tls::trusting(&[&authority]);
    Runtime::new().unwrap().block_on(async {
        serves_http1(&tls, server.url()).await;
        tls.http2(server.url()).await.serves().await;
        let stranger = Authority::new("others").unwrap();
        let untrusting = Tls::trusting(&[&stranger]);
        assert!(untrusting.connect(server.url(), &["h2"]).await.is_err());
        // Not TLS.
        let address = server.url().trim_start_matches("https://");
        let mut plain = TcpStream::connect(address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut plain, b"POST /decode HTTP/1.1\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        serves_http1(&tls, server.url()).await;
    });
}

#[test]
fn a_client_that_does_not_finish_its_handshake_is_not_kept() {
    let authority = Authority::new("servers").unwrap();
    let server = start(&authority, "handshake_timeout = \"200ms\"");
    Runtime::new().unwrap().block_on(async {
        let address = server.url().trim_start_matches("https://");
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut rest = Vec::new();
        silent.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
        serves_http1(&Tls::trusting(&[&authority]), server.url()).await;
    });
}

#[test]
fn certificates_are_replaced_under_load_and_no_request_fails() {
    let (old, new) = (
        Authority::new("old").unwrap(),
        Authority::new("new").unwrap(),
    );
    let mut server = start(&old, "reload_interval = \"20ms\"");
    let (url, folder) = (server.url().to_owned(), server.folder().to_owned());
    let runtime = Runtime::new().unwrap();
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let both = Tls::trusting(&[&old, &new]);
    let body = body_of(&plain(&["a"]));
    let load: Vec<_> = (0..4)
        .map(|number| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            let (tls, url, body) = (both.clone(), url.clone(), body.clone());
            runtime.spawn(async move {
                // Half of the clients keep one connection, half of them connect for each request.
                let kept = tls.http2(&url).await;
                while !stop.load(Ordering::Relaxed) {
                    if number % 2 == 0 {
                        let (status, text) = kept.post("/encode", &[], &body).await.unwrap();
                        assert_eq!(status, 200, "{text}");
                    } else {
                        serves_http1(&tls, &url).await;
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..6 {
        let authority = if round % 2 == 0 { &new } else { &old };
        certificate(authority).write(&folder).unwrap();
        server.wait_for_log("new TLS certificates are in use");
    }
    stop.store(true, Ordering::Relaxed);
    for client in load {
        runtime.block_on(client).unwrap();
    }
    assert!(done.load(Ordering::Relaxed) > 0);
    // The last one is of the old authority.
    runtime.block_on(serves_http1(&Tls::trusting(&[&old]), &url));
    assert!(
        runtime
            .block_on(Tls::trusting(&[&new]).connect(&url, &[]))
            .is_err()
    );
}

#[test]
fn files_that_cannot_be_used_keep_the_certificates_before() {
    let authority = Authority::new("servers").unwrap();
    let mut server = start(&authority, "reload_interval = \"20ms\"");
    let (url, folder) = (server.url().to_owned(), server.folder().to_owned());
    let runtime = Runtime::new().unwrap();
    let tls = Tls::trusting(&[&authority]);
    fs::write(folder.join("certificate.pem"), "garbage").unwrap();
    server.wait_for_log("cannot be replaced; the ones before stay in use");
    while !server
        .admin("/readyz")
        .body
        .contains("degraded: certificate")
    {}
    runtime.block_on(serves_http1(&tls, &url));
    fs::remove_file(folder.join("certificate.pem")).unwrap();
    server.wait_for_log("it cannot be read");
    runtime.block_on(serves_http1(&tls, &url));
    certificate(&authority).write(&folder).unwrap();
    server.wait_for_log("new TLS certificates are in use");
    runtime.block_on(serves_http1(&tls, &url));
}

#[test]
fn a_client_certificate_says_who_calls() {
    let (servers, clients) = (
        Authority::new("servers").unwrap(),
        Authority::new("clients").unwrap(),
    );
    let key = certificate(&servers);
    let server = CodecServer::configured(|folder| {
        let authority = folder.join("clients.pem");
        fs::write(&authority, clients.certificate()).unwrap();
        let more = format!(
            "client_ca = '{}'\nclient_certificates = \"optional\"\n\
             [auth.certificates.worker]\nnames = [\"dns:worker.example.com\"]\npermissions = [\"default:worker\"]\n",
            authority.display()
        );
        section(folder, &key, &more)
    });
    let tls = Tls::trusting(&[&servers]);
    Runtime::new().unwrap().block_on(async {
        let post = |own: Option<CertifiedKey>, path: &'static str| {
            let tls = own.map_or_else(|| tls.clone(), |own| tls.clone().showing(&own));
            let url = server.url().to_owned();
            async move {
                let body = body_of(&plain(&["a"]));
                let connection = tls.http2(&url).await;
                connection.post(path, &[], &body).await.unwrap()
            }
        };
        let worker = clients.client("worker.example.com").unwrap();
        assert_eq!(post(Some(worker.clone()), "/encode").await.0, 200);
        let (status, text) = post(Some(worker), "/decode").await;
        assert_eq!(status, 403);
        assert!(text.contains("the role read is missing"), "{text}");
        let other = clients.client("other.example.com").unwrap();
        let (status, text) = post(Some(other), "/encode").await;
        assert_eq!(status, 401);
        assert!(text.contains("[auth.certificates]"), "{text}");
        assert_eq!(post(None, "/encode").await.0, 401);
    });
}

#[test]
fn a_revocation_ends_connections_that_are_open() {
    let (servers, clients) = (
        Authority::new("servers").unwrap(),
        Authority::new("clients").unwrap(),
    );
    let (worker, other) = (
        clients.client("worker.example.com").unwrap(),
        clients.client("other.example.com").unwrap(),
    );
    let key = certificate(&servers);
    let mut server = CodecServer::configured(|folder| {
        let (authority, revoked) = (folder.join("clients.pem"), folder.join("revoked.pem"));
        fs::write(&authority, clients.certificate()).unwrap();
        fs::write(&revoked, clients.revoke(&other).unwrap()).unwrap();
        let more = format!(
            "client_ca = '{}'\nclient_crl = '{}'\nreload_interval = \"20ms\"\n\
             [auth.certificates.worker]\nnames = [\"dns:worker.example.com\"]\npermissions = [\"default:worker\"]\n",
            authority.display(),
            revoked.display()
        );
        section(folder, &key, &more)
    });
    let tls = Tls::trusting(&[&servers]).showing(&worker);
    let runtime = Runtime::new().unwrap();
    let body = body_of(&plain(&["a"]));
    let (url, revoked) = (server.url().to_owned(), server.folder().join("revoked.pem"));
    let connection = runtime.block_on(tls.http2(&url));
    let ask = || runtime.block_on(connection.post("/encode", &[], &body));
    assert_eq!(ask().unwrap().0, 200);
    fs::write(&revoked, clients.revoke(&worker).unwrap()).unwrap();
    server.wait_for_log("new TLS certificates are in use");
    // The connection ends when its task has run.
    while ask().is_ok() {}
    let request = post("/encode", &[], &body);
    let again = runtime.block_on(tls.raw(&url, &request));
    assert!(again.is_err(), "{again:?}");
}

#[test]
fn shutdown_answers_what_is_in_flight_over_tls_and_http2() {
    let authority = Authority::new("servers").unwrap();
    let mut server = start(&authority, "");
    server.wait_for_log("ready: every encrypting key answers");
    let runtime = Runtime::new().unwrap();
    let tls = Tls::trusting(&[&authority]);
    let url = server.url().to_owned();
    let body = body_of(&plain(&["in flight"]));
    let (answer, mut sender, _connection) = runtime.block_on(async {
        let connection = tls.http2(&url).await;
        // The server has answered on this connection, so it knows it.
        connection.serves().await;
        let mut ready = connection.0.clone().ready().await.unwrap();
        let request = Http2::request("/encode", &[("x-namespace", "default")]);
        let (answer, mut sender) = ready.send_request(request, false).unwrap();
        sender.send_data(body[..1].to_vec().into(), false).unwrap();
        // A later request is answered, so the server has seen this one.
        connection.serves().await;
        (answer, sender, connection)
    });
    server.signal(Signal::SIGTERM);
    server.wait_for_log("not ready any more");
    runtime.block_on(serves_http1(&tls, &url));
    server.wait_for_log("shutting down");
    let status = runtime.block_on(async {
        sender.send_data(body[1..].to_vec().into(), true).unwrap();
        answer.await.unwrap().status()
    });
    assert_eq!(status, 200);
    assert_eq!(server.wait().code(), Some(0));
}
