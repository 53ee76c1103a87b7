//! The connection to Cloud KMS, which the keys of one [`GcpKms`](super::GcpKms) share.

use std::{fmt, future::Future, num::NonZeroUsize, time::Duration};

use google_cloud_auth::credentials::Credentials;
use google_cloud_gax::{
    client_builder::Error as BuilderError, error::Error as GaxError, retry_policy::NeverRetry,
};
use google_cloud_kms_v1::client::KeyManagementService;
use lru::LruCache;
use tokio::{
    runtime::{self, Handle},
    sync::Mutex,
};

use super::{
    credentials::Settings,
    error::{self, CallKind},
};
use temporal_kms::{FailureCause, KeyUri, ProviderError, ProviderErrorKind as Kind};

/// The client's own limit for one request. Callers set deadlines. This limit is for calls without one.
const ATTEMPT: Duration = Duration::from_secs(30);
/// The same limit, including the time for getting a token.
const CALL: Duration = Duration::from_mins(1);

/// How many runtimes have a client each. Most programs have one runtime.
const MAX_RUNTIMES: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// The connection of one `GcpKms` and its keys. The first call opens it.
pub(super) struct Service {
    settings: Settings,
    /// A client belongs to the runtime in which it was created. That runtime polls its connections and fetches its tokens.
    clients: Mutex<LruCache<runtime::Id, KeyManagementService>>,
}

impl Service {
    /// A service without a connection. This reads no file.
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            clients: Mutex::new(LruCache::new(MAX_RUNTIMES)),
        }
    }

    /// Makes a call once.
    pub(super) async fn call<T, F>(
        &self,
        uri: &KeyUri,
        call: CallKind,
        request: impl FnOnce(KeyManagementService) -> F + Send,
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, GaxError>> + Send,
    {
        let performed = async {
            let client = self.client(uri).await?;
            request(client)
                .await
                .map_err(|error| (error.is_authentication(), error::map(&error, uri, call)))
                .map_err(Failure::from)
        };
        let failure = match tokio::time::timeout(CALL, performed).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) => failure,
            Err(_) => return Err(ProviderError::new(Kind::DeadlineExceeded, uri)),
        };
        if failure.credentials {
            // After some errors the library stops fetching tokens forever. Start again with the next call.
            self.clients.lock().await.pop(&Handle::current().id());
        }
        Err(failure.error)
    }

    async fn client(&self, uri: &KeyUri) -> Result<KeyManagementService, ProviderError> {
        let runtime = Handle::current().id();
        // Locked until there is a client, so that the first calls share it.
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(&runtime) {
            return Ok(client.clone());
        }
        let client = self.connect(uri).await?;
        clients.put(runtime, client.clone());
        Ok(client)
    }

    async fn connect(&self, uri: &KeyUri) -> Result<KeyManagementService, ProviderError> {
        let misconfigured = || ProviderError::new(Kind::Misconfigured, uri);
        let credentials = self.settings.credentials().map_err(|fault| {
            misconfigured()
                .with_detail(fault.to_string())
                .with_remedy(fault.remedy())
                .with_cause(FailureCause::UnusableCredentials)
        })?;
        client(credentials, self.settings.endpoint.as_deref())
            .await
            .map_err(|_| {
                misconfigured()
                    .with_detail("the client for Cloud KMS cannot be made")
                    .with_remedy("check the endpoint and the credentials")
            })
    }
}

/// A client without retries. The call policy retries.
async fn client(
    credentials: Credentials,
    endpoint: Option<&str>,
) -> Result<KeyManagementService, BuilderError> {
    let builder = KeyManagementService::builder()
        .with_credentials(credentials)
        .with_retry_policy(NeverRetry)
        .with_attempt_timeout(ATTEMPT);
    match endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint).build().await,
        None => builder.build().await,
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

struct Failure {
    error: ProviderError,
    /// Whether the credentials failed.
    credentials: bool,
}

impl From<(bool, ProviderError)> for Failure {
    fn from((credentials, error): (bool, ProviderError)) -> Self {
        Self { error, credentials }
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        Self {
            error,
            credentials: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use google_cloud_auth::credentials::mds;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        runtime::Runtime,
    };

    use super::*;
    use crate::GcpOptions;

    const KEY: &str = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k";

    #[test]
    fn each_runtime_keeps_its_client() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gcp.json");
        let user = r#"{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"t","token_uri":"http://127.0.0.1:1"}"#;
        std::fs::write(&file, user).unwrap();
        let options = GcpOptions::default()
            .with_endpoint("http://127.0.0.1:1")
            .with_credentials(&file);
        let uri = KEY.parse().unwrap();
        let service = Service::new(Settings::new(&uri, &options).unwrap());
        let connects = |runtime: &Runtime| runtime.block_on(service.client(&uri)).is_ok();
        let [one, other, third] = [(); 3].map(|()| Runtime::new().unwrap());
        assert!(connects(&one) && connects(&other));
        // A new client would read the file.
        std::fs::remove_file(&file).unwrap();
        assert!(connects(&one) && connects(&other) && connects(&one));
        assert!(!connects(&third));
    }

    /// The error when the metadata server at `url` has no token.
    async fn without_token(url: String) -> ProviderError {
        let uri = KEY.parse().unwrap();
        let credentials = mds::Builder::default()
            .with_endpoint(url)
            .with_universe_domain("googleapis.com")
            .build()
            .unwrap();
        let client = client(credentials, Some("http://127.0.0.1:1"))
            .await
            .unwrap();
        let asked = client
            .get_crypto_key()
            .set_name("projects/p/locations/l/keyRings/r/cryptoKeys/k");
        error::map(&asked.send().await.unwrap_err(), &uri, CallKind::Describe)
    }

    async fn metadata_server(status: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                assert!(read > 0);
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        url
    }

    #[tokio::test]
    async fn a_machine_without_credentials_is_told_from_an_outage() {
        let nowhere = without_token("http://127.0.0.1:1".to_owned()).await;
        assert_eq!(nowhere.kind(), Kind::Misconfigured, "{nowhere}");
        assert!(
            nowhere
                .to_string()
                .contains("GOOGLE_APPLICATION_CREDENTIALS")
        );
        let none = without_token(metadata_server("404 Not Found").await).await;
        assert_eq!(none.kind(), Kind::Misconfigured, "{none}");
        let outage = without_token(metadata_server("503 Service Unavailable").await).await;
        assert_eq!(outage.kind(), Kind::Unavailable, "{outage}");
    }
}
