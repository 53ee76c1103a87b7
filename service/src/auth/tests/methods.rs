//! Callers without an issuer: static tokens, certificates, peers of a socket, and which of several proofs counts.

use std::time::{Duration, SystemTime};

use super::*;
use crate::auth::connection::Certificates;

fn text(token: &NewToken) -> String {
    format!(
        "[auth.tokens.batch]\nsha256 = [\"{}\"]\npermissions = [\"payments:worker\"]\n\
         [auth.certificates.proxy]\nnames = [\"dns:proxy.example\"]\npermissions = [\"payments:read\"]\n\
         [auth.peers.local]\nusers = [\"4242\"]\npermissions = [\"payments:admin\"]\n",
        token.sha256
    )
}

/// A certificate with `subjectAltName = DNS:Proxy.Example, URI:spiffe://example/proxy, email:a@example.com`, by
/// `openssl req -x509 -newkey ed25519 -nodes -subj /CN=proxy-cn -days 36500 -addext subjectAltName=…`.
const WITH_NAMES: &str = include_str!("with-names.pem");
/// As above, without the extension.
const COMMON_NAME: &str = include_str!("common-name.pem");

fn certificate(pem: &str) -> ClientCertificate {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    let der = STANDARD.decode(lines.collect::<String>()).unwrap();
    assert!(ClientCertificate::from_der(&der[..der.len() - 1]).is_err());
    let longer = [der.as_slice(), b"\0"].concat();
    assert!(ClientCertificate::from_der(&longer).is_err());
    ClientCertificate::from_der(&der).unwrap()
}

#[test]
fn the_names_of_a_certificate_are_read() {
    let names = |certificate: &ClientCertificate| -> Vec<String> {
        certificate.names().map(ToString::to_string).collect()
    };
    // With other names, the common name does not count.
    assert_eq!(
        names(&certificate(WITH_NAMES)),
        [
            "dns:proxy.example",
            "uri:spiffe://example/proxy",
            "email:a@example.com"
        ]
    );
    assert_eq!(names(&certificate(COMMON_NAME)), ["cn:proxy-cn"]);
    assert!(ClientCertificate::from_der(b"").is_err());
    assert!(ClientCertificate::from_der(&[0x30; 1000]).is_err());
}

/// A connection can outlive the certificate that it was made with.
#[test]
fn a_certificate_counts_until_its_end() {
    let config = read(&text(&NewToken::generate().unwrap())).unwrap();
    let callers = Certificates::new(&config.certificates);
    let known = certificate(WITH_NAMES);
    let now = SystemTime::now();
    assert_eq!(callers.find(&known, now).unwrap().subject(), "proxy");
    let later = now + Duration::from_hours(101 * 366 * 24);
    let refused = callers.find(&known, later).unwrap_err();
    assert_eq!(refused, Refused::ExpiredCertificate);
}

#[tokio::test]
async fn each_caller_is_known_by_its_own_proof() {
    let token = NewToken::generate().unwrap();
    let authenticator = open(&text(&token));
    let identity = bearer(&authenticator, &token.token).await.unwrap();
    assert_eq!(
        (identity.subject(), identity.method()),
        ("batch", Method::StaticToken)
    );
    assert_eq!(roles(&identity, "payments"), [Role::Worker]);
    let (known, other) = (certificate(WITH_NAMES), certificate(COMMON_NAME));
    let presented = Presented::default();
    let found = authenticator
        .identify(&presented.with_certificate(Some(&known)))
        .await;
    assert_eq!(found.unwrap().subject(), "proxy");
    let found = authenticator
        .identify(&presented.with_certificate(Some(&other)))
        .await;
    assert_eq!(found.unwrap_err(), Refused::Certificate);
    let peer = |uid| Some(UnixPeer { uid, gid: 0 });
    let found = authenticator
        .identify(&presented.with_peer(peer(4242)))
        .await;
    assert_eq!(found.unwrap().method(), Method::UnixSocket);
    let found = authenticator.identify(&presented.with_peer(peer(0))).await;
    assert_eq!(found.unwrap_err(), Refused::Peer);
    let found = authenticator.identify(&presented).await.unwrap_err();
    assert_eq!(found.label(), "missing");
}

#[tokio::test]
async fn a_proxy_does_not_lend_its_roles_to_a_refused_token() {
    let token = NewToken::generate().unwrap();
    let authenticator = open(&text(&token));
    let proxy = certificate(WITH_NAMES);
    let wrong = NewToken::generate().unwrap().token;
    for value in [
        format!("Bearer {}", *wrong),
        "Bearer opaque".to_owned(),
        "Basic x".to_owned(),
    ] {
        let headers = headers(&[("authorization", &value)]);
        let presented = Presented::in_headers(&headers).unwrap();
        let found = authenticator
            .identify(&presented.with_certificate(Some(&proxy)))
            .await;
        assert!(found.is_err(), "{found:?}");
    }
    let headers = headers(&[("authorization-extras", "opaque")]);
    let presented = Presented::in_headers(&headers).unwrap();
    let found = authenticator
        .identify(&presented.with_certificate(Some(&proxy)))
        .await;
    assert_eq!(found.unwrap_err(), TokenFault::Unknown.into());
}

#[tokio::test]
async fn a_server_without_a_configuration_lets_everyone_in() {
    let authenticator = open("");
    assert!(authenticator.is_open());
    let identity = bearer(&authenticator, "anything").await.unwrap();
    assert_eq!(
        (identity.subject(), identity.method()),
        ("anyone", Method::Open)
    );
    assert_eq!(roles(&identity, "a"), Role::ALL);
}
