//! The connection to Cloud KMS, which keys share.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use google_cloud_auth::credentials::Credentials;
use google_cloud_gax::{
    client_builder::Error as BuilderError, error::Error as GaxError, retry_policy::NeverRetry,
};
use google_cloud_kms_v1::client::KeyManagementService;
use parking_lot::Mutex;
use tokio::runtime::{self, Handle};

use super::{
    credentials::Settings,
    error::{self, Asked},
};
use temporal_kms::{FailureCause, KeyUri, ProviderError, ProviderErrorKind as Kind};

/// The client's own limit for one request. Callers set deadlines. This limit is for calls without one.
const ATTEMPT: Duration = Duration::from_secs(30);
/// The same limit, including the time for getting a token.
const CALL: Duration = Duration::from_mins(1);

static SERVICES: Mutex<Vec<Weak<Service>>> = Mutex::new(Vec::new());

/// The connection that all keys with the same endpoint and credentials share. The first call opens it.
pub(super) struct Service {
    settings: Settings,
    connection: tokio::sync::Mutex<Option<Connection>>,
}

/// A client belongs to the runtime in which it was created. That runtime polls its connections and fetches its tokens.
struct Connection {
    client: KeyManagementService,
    runtime: runtime::Id,
}

/// The service with these settings. The whole process shares one value as long as a key uses it.
pub(super) fn shared(settings: Settings) -> Arc<Service> {
    let mut services = SERVICES.lock();
    services.retain(|service| service.strong_count() > 0);
    let found = services
        .iter()
        .filter_map(Weak::upgrade)
        .find(|service| service.settings == settings);
    found.unwrap_or_else(|| {
        let service = Arc::new(Service {
            settings,
            connection: tokio::sync::Mutex::new(None),
        });
        services.push(Arc::downgrade(&service));
        service
    })
}

impl Service {
    /// Makes a call once.
    pub(super) async fn call<T, F>(
        &self,
        uri: &KeyUri,
        asked: Asked,
        request: impl FnOnce(KeyManagementService) -> F + Send,
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, GaxError>> + Send,
    {
        let performed = async {
            let client = self.client(uri).await?;
            request(client)
                .await
                .map_err(|error| (error.is_authentication(), error::map(&error, uri, asked)))
                .map_err(Failure::from)
        };
        let failure = match tokio::time::timeout(CALL, performed).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) => failure,
            Err(_) => return Err(ProviderError::new(Kind::DeadlineExceeded, uri)),
        };
        if failure.credentials {
            // After some errors the library stops fetching tokens forever. Start again with the next call.
            *self.connection.lock().await = None;
        }
        Err(failure.error)
    }

    async fn client(&self, uri: &KeyUri) -> Result<KeyManagementService, ProviderError> {
        let runtime = Handle::current().id();
        let mut connection = self.connection.lock().await;
        if let Some(connection) = connection.as_ref().filter(|made| made.runtime == runtime) {
            return Ok(connection.client.clone());
        }
        let client = self.connect(uri).await?;
        *connection = Some(Connection {
            client: client.clone(),
            runtime,
        });
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
    };

    use super::*;

    /// The error when the metadata server at `url` has no token.
    async fn without_token(url: String) -> ProviderError {
        let uri = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k"
            .parse()
            .unwrap();
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
        error::map(&asked.send().await.unwrap_err(), &uri, Asked::Describe)
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
