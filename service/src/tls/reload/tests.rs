//! Handshakes with the certificates of files, and with those that replace them.

use std::{fs, io, path::PathBuf};

use dev_servers::certificates::{Authority, CertifiedKey};
use futures::FutureExt as _;
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio_rustls::TlsConnector;

use super::*;
use crate::tls::{Agreed as _, TlsStream};

struct Files {
    folder: TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::new("servers").unwrap(),
        }
    }

    fn write(&self, key: &CertifiedKey) -> TlsSettings {
        let (certificate, key) = key.write(self.folder.path()).unwrap();
        TlsSettings::new(certificate, key)
    }

    fn settings(&self) -> TlsSettings {
        self.write(&self.authority.server(&["localhost"]).unwrap())
    }

    #[expect(clippy::unnecessary_wraps, reason = "for settings, which may lack it")]
    fn extra(&self, name: &str, text: &str) -> Option<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        Some(path)
    }

    fn open(&self) -> Arc<Tls> {
        Tls::open(self.settings()).unwrap()
    }
}

fn client(
    authority: &Authority,
    certificate: Option<&CertifiedKey>,
    alpn: &[&[u8]],
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match certificate {
        Some(own) => {
            let chain = CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![chain], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

/// The server's side of a connection, and the client's. In TLS 1.3 a client learns only from the first answer that its
/// certificate was refused.
async fn connect(
    tls: &Tls,
    client: &TlsConnector,
) -> (
    io::Result<TlsStream<DuplexStream>>,
    io::Result<tokio_rustls::client::TlsStream<DuplexStream>>,
) {
    let (ours, theirs) = duplex(64 << 10);
    let name = ServerName::try_from("localhost").unwrap();
    tokio::join!(tls.accept(ours), client.connect(name, theirs))
}

#[tokio::test]
async fn a_client_chooses_the_protocol() {
    let files = Files::new();
    let tls = files.open();
    let both: [&[u8]; 2] = [b"http/1.1", b"h2"];
    for (offered, is_http2) in [(&both[..], true), (&both[..1], false), (&[], false)] {
        let client = client(&files.authority, None, offered);
        let (ours, theirs) = connect(&tls, &client).await;
        let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
        assert_eq!(ours.is_http2(), is_http2);
        assert_eq!(ours.version(), "1.3");
        assert!(ours.client_certificate().is_none());
        ours.write_all(b"text").await.unwrap();
        ours.flush().await.unwrap();
        let mut read = [0; 4];
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"text");
    }
}

#[tokio::test]
async fn new_files_are_used_by_new_connections_only() {
    let files = Files::new();
    let tls = files.open();
    let old_client = client(&files.authority, None, &[]);
    let (ours, theirs) = connect(&tls, &old_client).await;
    let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(tls.reload().unwrap(), Reloaded::Unchanged);

    let successor = Authority::new("successor").unwrap();
    files.write(&successor.server(&["localhost"]).unwrap());
    assert_eq!(tls.reload().unwrap(), Reloaded::Changed);
    assert_eq!(tls.reload().unwrap(), Reloaded::Unchanged);
    let new_client = client(&successor, None, &[]);
    assert!(connect(&tls, &new_client).await.1.is_ok());
    assert!(connect(&tls, &old_client).await.1.is_err());

    ours.write_all(b"text").await.unwrap();
    ours.flush().await.unwrap();
    theirs.read_exact(&mut [0; 4]).await.unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_keep_the_ones_before() {
    let files = Files::new();
    let tls = files.open();
    let client = client(&files.authority, None, &[]);
    let good = files.authority.server(&["localhost"]).unwrap();
    let other = files.authority.server(&["localhost"]).unwrap();
    let broken = |certificate: &str, key: &str| {
        let mut broken = good.clone();
        certificate.clone_into(&mut broken.certificate);
        key.clone_into(&mut broken.key);
        broken
    };
    for (files_now, words) in [
        (
            broken(&good.certificate, &other.key),
            "not the key of the certificate",
        ),
        (broken("", &good.key), "holds no certificate in PEM"),
        (
            broken(&good.certificate, "text"),
            "holds no private key in PEM",
        ),
        (
            broken(
                "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n",
                &good.key,
            ),
            "certificate cannot be read",
        ),
        (
            broken(
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                &good.key,
            ),
            "certificate.pem: ",
        ),
    ] {
        files.write(&files_now);
        let error = tls.reload().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(
            error.starts_with(files.folder.path().to_str().unwrap()),
            "{error}"
        );
        assert!(connect(&tls, &client).await.1.is_ok());
    }
    fs::remove_file(files.folder.path().join("key.pem")).unwrap();
    let error = tls.reload().unwrap_err().to_string();
    assert!(error.contains("check its path and permissions"), "{error}");
    files.write(&good);
    assert_eq!(tls.reload().unwrap(), Reloaded::Changed);
}

#[tokio::test]
async fn a_pipe_is_not_waited_for() {
    let files = Files::new();
    let mut settings = files.settings();
    let pipe = files.folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    settings.key = pipe;
    let error = Tls::open(settings).unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
}

#[tokio::test]
async fn client_certificates_are_of_the_configured_authority_and_not_revoked() {
    let files = Files::new();
    let (clients, strangers) = (
        Authority::new("clients").unwrap(),
        Authority::new("strangers").unwrap(),
    );
    let mut settings = files.settings();
    settings.client_ca = files.extra("clients.pem", clients.certificate());
    let known = clients.client("worker.example.com").unwrap();
    let revoked = clients.client("old.example.com").unwrap();
    let foreign = strangers.client("worker.example.com").unwrap();
    settings.client_crl = files.extra("revoked.pem", &clients.revoke(&revoked).unwrap());

    for (mode, without) in [
        (ClientCertificates::Required, false),
        (ClientCertificates::Optional, true),
    ] {
        settings.client_certificates = mode;
        let tls = Tls::open(settings.clone()).unwrap();
        for (shown, is_accepted) in [
            (Some(&known), true),
            (Some(&revoked), false),
            (Some(&foreign), false),
            (None, without),
        ] {
            let client = client(&files.authority, shown, &[]);
            let accepted = connect(&tls, &client).await.0;
            assert_eq!(accepted.is_ok(), is_accepted, "{mode:?}");
            if let Ok(stream) = accepted {
                assert_eq!(stream.client_certificate().is_some(), shown.is_some());
            }
        }
    }
}

#[tokio::test]
async fn a_client_with_a_certificate_resumes_no_session() {
    let files = Files::new();
    let clients = Authority::new("clients").unwrap();
    let shown = clients.client("worker.example.com").unwrap();
    let mut settings = files.settings();
    for (authority, resumes) in [
        (None, true),
        (files.extra("clients.pem", clients.certificate()), false),
    ] {
        settings.client_ca = authority;
        let tls = Tls::open(settings.clone()).unwrap();
        let client = client(&files.authority, Some(&shown), &[]);
        for round in 0..3 {
            let (ours, theirs) = connect(&tls, &client).await;
            let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
            let kind = ours.get_ref().1.handshake_kind();
            let is_resumed = kind == Some(rustls::HandshakeKind::Resumed);
            assert_eq!(is_resumed, resumes && round > 0, "{kind:?}");
            // The client takes its tickets with the first bytes.
            ours.write_all(b"text").await.unwrap();
            ours.flush().await.unwrap();
            theirs.read_exact(&mut [0; 4]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn connections_learn_of_other_authorities_and_revocations_only() {
    let files = Files::new();
    let clients = Authority::new("clients").unwrap();
    let revoked = clients.client("old.example.com").unwrap();
    let mut settings = files.settings();
    settings.client_ca = files.extra("clients.pem", clients.certificate());
    settings.client_crl = files.extra("revoked.pem", &clients.revoke(&revoked).unwrap());
    let tls = Tls::open(settings).unwrap();
    let mut trust = tls.client_trust();
    // Another certificate of the server.
    files.settings();
    assert_eq!(tls.reload().unwrap(), Reloaded::Changed);
    assert!(trust.changed().now_or_never().is_none());
    let other = clients.client("other.example.com").unwrap();
    files.extra("revoked.pem", &clients.revoke(&other).unwrap());
    assert_eq!(tls.reload().unwrap(), Reloaded::Changed);
    assert!(trust.changed().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_not_waited_for() {
    let files = Files::new();
    let tls = files.open();
    let (ours, _theirs) = duplex(1024);
    let error = tls.accept(ours).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_certificate_that_expires_needs_an_operator() {
    let files = Files::new();
    let tls = files.open();
    assert_eq!(tls.condition(false), Condition::Met);
    assert!(matches!(tls.condition(true), Condition::Degraded(_)));
    files.write(&files.authority.expired_server(&["localhost"]).unwrap());
    // The operator may have nothing better, and the clock may be wrong.
    assert_eq!(tls.reload().unwrap(), Reloaded::Changed);
    assert!(tls.expires() < SystemTime::now());
    let condition = tls.condition(false);
    assert!(
        condition.reason().unwrap().contains("has expired"),
        "{condition:?}"
    );
}
