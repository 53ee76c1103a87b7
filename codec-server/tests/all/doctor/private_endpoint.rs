//! Cloud KMS at an address of Private Service Connect: TLS to a name of Google, and real credentials.

use std::{net::SocketAddr, process::Command, sync::Arc};

use dev_servers::certificates::Authority;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::bench::{Answer, Bench, GCP_KEY, said};
use crate::support::google_user;

const HOST: &str = "cloudkms-tests.p.googleapis.com";

/// Shows a certificate for [`HOST`], and passes connections on to `behind`. Returns its port.
async fn tls_front(authority: &Authority, behind: SocketAddr) -> u16 {
    let certified = authority.server(&[HOST]).unwrap();
    let certificate = CertificateDer::from_pem_slice(certified.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut server = TcpStream::connect(behind).await?;
                copy_bidirectional(&mut stream, &mut server).await
            });
        }
    });
    port
}

#[test]
fn a_private_address_of_google_gets_the_default_credentials_over_tls() {
    let bench = Bench::with_key();
    let authority = Authority::new("google").unwrap();
    let emulator = bench.emulator.url();
    let emulator = emulator.trim_start_matches("http://").parse().unwrap();
    let port = bench.runtime.block_on(tls_front(&authority, emulator));
    let trusted = bench.file("authority.pem", authority.certificate());
    let credentials = bench.file("gcp.json", &google_user("user"));
    // What the zone p.googleapis.com in the network's DNS says.
    let hosts = bench.file("hosts", &format!("127.0.0.1 localhost {HOST}\n"));

    let program = bench.command();
    let endpoint = format!("https://{HOST}:{port}");
    let mut shell = Command::new("unshare");
    shell
        .args(["--map-root-user", "--mount", "sh", "-c"])
        .arg(format!(
            "mount --bind '{hosts}' /etc/hosts || exit 99; exec \"$0\" \"$@\""
        ))
        .arg(program.get_program())
        .args(["doctor", "--json", "--samples", "2", "--key", GCP_KEY])
        .current_dir(bench.folder.path())
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", bench.folder.path())
        .env("RUST_LOG", "error")
        .env("SSL_CERT_FILE", &trusted)
        .env("GCP_KMS_ENDPOINT", &endpoint)
        .env("GOOGLE_APPLICATION_CREDENTIALS", &credentials);
    let answer = Answer::of(&shell.output().unwrap());

    answer.healthy();
    said(answer.one("endpoint"), &[&endpoint, "answers"]);
    said(
        answer.one("credentials"),
        &["GOOGLE_APPLICATION_CREDENTIALS", "gcp.json", "of a user"],
    );
    let calls = bench.emulator.calls();
    let encrypt = calls.iter().rfind(|call| call.rpc == "Encrypt").unwrap();
    assert_eq!(encrypt.authorization.as_deref(), Some("Bearer"));
    assert_eq!(encrypt.token.as_deref(), Some("token-of-user"));
}
