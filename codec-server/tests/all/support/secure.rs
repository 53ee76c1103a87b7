//! Clients over TLS: HTTP/1.1 by hand as elsewhere, and HTTP/2.

use std::sync::Arc;

use bytes::Bytes;
use dev_servers::certificates::{Authority, CertifiedKey};
use h2::client::SendRequest;
use http::{Request, Response, StatusCode};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::body_of;

/// What a client trusts and shows.
#[derive(Clone)]
pub(crate) struct Tls {
    authorities: Vec<String>,
    own: Option<CertifiedKey>,
}

impl Tls {
    pub(crate) fn trusting(authorities: &[&Authority]) -> Self {
        Self {
            authorities: authorities
                .iter()
                .map(|authority| authority.certificate().to_owned())
                .collect(),
            own: None,
        }
    }

    pub(crate) fn showing(mut self, own: &CertifiedKey) -> Self {
        self.own = Some(own.clone());
        self
    }

    /// Connects to `https://ADDRESS`, and speaks one of `protocols`.
    pub(crate) async fn connect(
        &self,
        url: &str,
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        for authority in &self.authorities {
            let root = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
            roots.add(root).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.own {
            Some(own) => {
                let chain = CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let address = url.strip_prefix("https://").unwrap();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    /// Sends bytes over HTTP/1.1, and returns everything until the server closes.
    pub(crate) async fn raw(&self, url: &str, request: &[u8]) -> std::io::Result<String> {
        let mut stream = self.connect(url, &["http/1.1"]).await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8(answer).unwrap())
    }

    /// A connection of HTTP/2.
    pub(crate) async fn http2(&self, url: &str) -> Http2 {
        let stream = self.connect(url, &["h2"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Http2::over(stream).await
    }
}

/// A connection of HTTP/2.
#[derive(Clone)]
pub(crate) struct Http2(pub(crate) SendRequest<Bytes>);

impl Http2 {
    /// Begins HTTP/2 at once, as over TLS after ALPN.
    pub(crate) async fn over<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(async move {
            // Its streams report what went wrong.
            let _ = connection.await;
        });
        Self(send)
    }

    pub(crate) async fn to(url: &str) -> Self {
        let address = url.strip_prefix("http://").unwrap();
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    /// The status of each of `count` requests at once, with these bodies in turn.
    pub(crate) async fn at_once(
        url: &str,
        path: &str,
        count: usize,
        bodies: &[Vec<u8>],
    ) -> Vec<u16> {
        let answers = Self::answers_at_once(url, path, &[], count, bodies).await;
        let statuses = answers.iter().map(|answer| answer.status().as_u16());
        statuses.collect()
    }

    /// As [`at_once`](Self::at_once), with these headers, and the whole answers.
    pub(crate) async fn answers_at_once(
        url: &str,
        path: &str,
        headers: &[(&str, &str)],
        count: usize,
        bodies: &[Vec<u8>],
    ) -> Vec<Response<String>> {
        // As many connections as a browser and its proxies would open.
        let mut connections = Vec::new();
        for _ in 0..16 {
            connections.push(Self::to(url).await);
        }
        let requests = (0..count).map(|number| {
            let connection = connections[number % connections.len()].clone();
            let body = &bodies[number % bodies.len()];
            async move { connection.send(path, headers, body).await.unwrap() }
        });
        futures::future::join_all(requests).await
    }

    /// A request without its body.
    pub(crate) fn request(path: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::post(format!("https://localhost{path}"))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(StatusCode, String), h2::Error> {
        let answer = self.send(path, headers, body).await?;
        Ok((answer.status(), answer.into_body()))
    }

    async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response<String>, h2::Error> {
        let mut ready = self.0.clone().ready().await?;
        let (answer, mut sender) = ready.send_request(Self::request(path, headers), false)?;
        sender.send_data(Bytes::copy_from_slice(body), true)?;
        let (head, mut body) = answer.await?.into_parts();
        let mut text = Vec::new();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            text.extend_from_slice(&data);
        }
        Ok(Response::from_parts(head, String::from_utf8(text).unwrap()))
    }

    pub(crate) async fn json(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Value {
        let (status, text) = self.post(path, headers, &body_of(body)).await.unwrap();
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The server does its work.
    pub(crate) async fn serves(&self) {
        let plain = super::plain(&["still here"]);
        let sealed = self.json("/encode", &[], &plain).await;
        assert_ne!(sealed, plain);
        assert_eq!(self.json("/decode", &[], &sealed).await, plain);
    }
}
