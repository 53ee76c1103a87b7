//! The certificates that are in use, and their replacement when the files change.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use sha2::{Digest as _, Sha256};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::sleep,
};
use zeroize::Zeroizing;

use super::{
    error::TlsError,
    files,
    settings::{ClientCertificates, TlsSettings},
};
use crate::{
    lifecycle::{Condition, Readiness},
    settings::Fault,
};

/// The protocols that a client can choose from, in this order.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The condition that the certificate is valid and can be replaced.
const CERTIFICATE: &str = "certificate";
/// An operator should replace a certificate that expires within this time.
const SOON: Duration = Duration::from_hours(7 * 24);

/// The server's side of TLS. The next handshake uses what was loaded last.
#[derive(Debug)]
pub struct Tls {
    settings: TlsSettings,
    loaded: ArcSwap<Loaded>,
    /// The files that were looked at last, good or bad.
    seen: Mutex<Digest>,
    /// Tells of other authorities or revocation lists of clients.
    client_trust: watch::Sender<Digest>,
}

/// What the files hold, ready for handshakes.
#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    /// When the server's certificate expires.
    expires: SystemTime,
}

/// What [`Tls::reload`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// New files, which the next handshakes use.
    Changed,
    /// The files that are known already.
    Unchanged,
}

/// The authorities and revocation lists that a connection's client was verified with.
#[derive(Debug)]
pub struct ClientTrust(watch::Receiver<Digest>);

type Digest = [u8; 32];

impl Tls {
    /// Loads the files.
    ///
    /// # Errors
    /// When a file is missing or cannot be used.
    pub fn open(settings: TlsSettings) -> Result<Arc<Self>, TlsError> {
        let files = Files::read(&settings)?;
        let loaded = files.load(&settings)?;
        Ok(Arc::new(Self {
            seen: Mutex::new(files.digest()),
            client_trust: watch::Sender::new(files.digest_of_clients()),
            loaded: ArcSwap::from_pointee(loaded),
            settings,
        }))
    }

    /// Loads the files again if they have changed.
    ///
    /// # Errors
    /// When a file is missing or cannot be used. The certificates that were loaded before stay in use.
    pub fn reload(&self) -> Result<Reloaded, TlsError> {
        let files = Files::read(&self.settings)?;
        let digest = files.digest();
        let mut seen = self.seen.lock();
        if *seen == digest {
            return Ok(Reloaded::Unchanged);
        }
        let loaded = files.load(&self.settings)?;
        self.loaded.store(Arc::new(loaded));
        *seen = digest;
        // After the handshakes use the new ones.
        let trust = files.digest_of_clients();
        self.client_trust.send_if_modified(|before| {
            let is_new = *before != trust;
            *before = trust;
            is_new
        });
        Ok(Reloaded::Changed)
    }

    /// Tells when other authorities or revocation lists of clients are in use. Call it before the handshake, and end the
    /// connection of a client with a certificate then: the certificate may not count any more.
    #[must_use]
    pub fn client_trust(&self) -> ClientTrust {
        ClientTrust(self.client_trust.subscribe())
    }

    /// When the certificate that is in use expires.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        self.loaded.load().expires
    }

    /// Loads the files again whenever they change, and at SIGHUP. It tells `readiness` what is wrong, and never returns.
    pub async fn watch(self: Arc<Self>, readiness: Arc<Readiness>) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut last_error = None;
        loop {
            readiness.set(CERTIFICATE, self.condition(last_error.is_some()));
            tokio::select! {
                () = sleep(self.settings.reload_interval) => {}
                () = received(&mut hangup) => {}
            }
            let tls = Arc::clone(&self);
            // Files may be on a network.
            let Ok(reloaded) = tokio::task::spawn_blocking(move || tls.reload()).await else {
                continue;
            };
            match reloaded {
                Ok(Reloaded::Changed) => {
                    last_error = None;
                    tracing::info!("new TLS certificates are in use");
                }
                Ok(Reloaded::Unchanged) => last_error = None,
                Err(error) => {
                    let error = error.to_string();
                    // Once for each mistake: certificate and key may be replaced one after the other.
                    if last_error.as_ref() != Some(&error) {
                        tracing::error!(
                            error,
                            "the TLS certificates cannot be replaced; the ones before stay in use"
                        );
                    }
                    last_error = Some(error);
                }
            }
        }
    }

    /// Whether an operator should look at the certificates.
    fn condition(&self, cannot_be_replaced: bool) -> Condition {
        let left = self.expires().duration_since(SystemTime::now());
        if cannot_be_replaced {
            return Condition::Degraded(
                "the TLS certificates cannot be replaced; the log says why".to_owned(),
            );
        }
        match left {
            Ok(left) if left > SOON => Condition::Met,
            Ok(left) => Condition::Degraded(format!(
                "the TLS certificate expires in {} hours; replace it",
                left.as_secs() / 3600
            )),
            Err(_) => Condition::Degraded("the TLS certificate has expired; replace it".to_owned()),
        }
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.loaded.load().config)
    }

    pub(super) fn handshake_timeout(&self) -> Duration {
        self.settings.handshake_timeout
    }
}

impl ClientTrust {
    /// Returns when other authorities or revocation lists are in use.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Returns at the signal, and never without one.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Files that cannot be used.
#[must_use]
pub fn faults(settings: &TlsSettings) -> Vec<Fault> {
    let error = check(settings).err();
    error
        .map(|error| Fault::new("tls", error.to_string()))
        .into_iter()
        .collect()
}

/// Whether a server can use the files.
pub(super) fn check(settings: &TlsSettings) -> Result<(), TlsError> {
    Files::read(settings)?.load(settings).map(drop)
}

/// The bytes of all files.
struct Files {
    certificate: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Zeroizing<Vec<u8>>>,
    client_crl: Option<Zeroizing<Vec<u8>>>,
}

impl Files {
    fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        let optional = |path: &Option<_>| path.as_deref().map(files::read).transpose();
        Ok(Self {
            certificate: files::read(&settings.certificate)?,
            key: files::read(&settings.key)?,
            client_ca: optional(&settings.client_ca)?,
            client_crl: optional(&settings.client_crl)?,
        })
    }

    fn digest(&self) -> Digest {
        let mut digest = Sha256::new();
        for bytes in [&self.certificate, &self.key] {
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        }
        digest.update(self.digest_of_clients());
        digest.finalize().into()
    }

    fn digest_of_clients(&self) -> Digest {
        let mut digest = Sha256::new();
        for file in [&self.client_ca, &self.client_crl] {
            let file = file.as_ref();
            let bytes = file.map(|bytes| bytes.as_slice()).unwrap_or_default();
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        }
        digest.finalize().into()
    }

    fn load(&self, settings: &TlsSettings) -> Result<Loaded, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = files::certificates(&settings.certificate, &self.certificate)?;
        let expires = files::expires(&settings.certificate, &chain)?;
        let key = files::key(&settings.key, &self.key)?;
        let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&settings.certificate, &error))?;
        let with_clients = match self.verifier(settings, provider)? {
            Some(verifier) => versions.with_client_cert_verifier(verifier),
            None => versions.with_no_client_auth(),
        };
        let mut config =
            with_clients
                .with_single_cert(chain, key)
                .map_err(|error| match error {
                    rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
                        certificate: settings.certificate.clone(),
                        key: settings.key.clone(),
                    },
                    error => unusable(&settings.certificate, &error),
                })?;
        if self.client_ca.is_some() {
            // A client's certificate is not verified again when a session is resumed, so it would count after its end.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
        Ok(Loaded {
            config: Arc::new(config),
            expires,
        })
    }

    /// What checks client certificates, if an authority is configured.
    fn verifier(
        &self,
        settings: &TlsSettings,
        provider: Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let (Some(path), Some(bytes)) = (&settings.client_ca, &self.client_ca) else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for authority in files::certificates(path, bytes)? {
            let added = roots.add(authority);
            added.map_err(|error| unusable(path, &error))?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if let (Some(path), Some(bytes)) = (&settings.client_crl, &self.client_crl) {
            let lists = files::revocation_lists(path, bytes)?;
            // An authority's own certificate is trusted because the operator names it.
            builder = builder.with_crls(lists).only_check_end_entity_revocation();
        }
        if settings.client_certificates == ClientCertificates::Optional {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|error| unusable(path, &error))?;
        Ok(Some(verifier))
    }
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Unusable {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
