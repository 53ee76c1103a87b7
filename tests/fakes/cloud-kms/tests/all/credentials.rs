//! The credentials of calls.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use parking_lot::Mutex;
use serde_json::{Value, json};
use temporal_kms_codec::kms::{
    KeyProvider, Kms, ProviderError, ProviderErrorKind as Kind,
    gcp::{GcpKms, GcpOptions},
};
use tokio::net::TcpListener;

use crate::common::{Cloud, google, kind, uri};

const EMAIL: &str = "worker@p.iam.gserviceaccount.com";

/// What reaches the emulator with the credentials in `file`.
fn kms_as(cloud: &Cloud, file: &Path) -> Kms {
    let gcp = GcpOptions::default()
        .with_endpoint(cloud.emulator.url())
        .with_credentials(file);
    let kms = cloud.options.to_builder().with_service(GcpKms::new(gcp));
    kms.build()
}

/// The key, opened by a value of its own, which is dropped.
async fn open_as(cloud: &Cloud, file: &Path) -> Result<Arc<dyn KeyProvider>, ProviderError> {
    kms_as(cloud, file).key(&uri("k")).await
}

fn last_scheme(cloud: &Cloud) -> Option<String> {
    let calls = cloud.emulator.calls();
    calls.last().unwrap().authorization.clone()
}

fn last_token(cloud: &Cloud) -> Option<String> {
    let calls = cloud.emulator.calls();
    calls.last().unwrap().token.clone()
}

#[tokio::test]
async fn an_emulator_gets_no_credentials() {
    let cloud = Cloud::start().await;
    cloud.key("k").await.encrypt(b"x").await.unwrap();
    assert_eq!(last_scheme(&cloud), None);
}

#[tokio::test]
async fn a_service_account_signs_its_own_tokens() {
    let cloud = Cloud::start().await;
    cloud.key("k").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("service-account.json");
    let account = google(json!({"operation": "service_account", "email": EMAIL})).await;
    fs::write(&file, account.to_string()).unwrap();
    let key = open_as(&cloud, &file).await.unwrap();
    let sealed = key.encrypt(b"x").await.unwrap();
    assert_eq!(last_scheme(&cloud).as_deref(), Some("Bearer"));
    assert_eq!(*key.decrypt(&sealed).await.unwrap(), b"x");
    assert!(!format!("{key:?}").contains("PRIVATE KEY"));
}

/// A security token service as workload identity federation has it, and what it was asked.
struct TokenService {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    status: Arc<Mutex<StatusCode>>,
}

impl TokenService {
    async fn start() -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let status = Arc::new(Mutex::new(StatusCode::OK));
        let state = (Arc::clone(&asked), Arc::clone(&status));
        let routes = Router::new()
            .route("/v1/token", post(exchange))
            .with_state(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/token", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, asked, status }
    }

    /// A credentials file that exchanges the token in another file.
    fn credentials(&self, folder: &Path) -> PathBuf {
        let token = folder.join("token");
        fs::write(&token, "workload-token").unwrap();
        let file = folder.join("workload-identity.json");
        let content = json!({
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/k8s",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": self.url,
            "credential_source": {"file": token, "format": {"type": "text"}},
        });
        fs::write(&file, content.to_string()).unwrap();
        file
    }
}

type Exchange = (Arc<Mutex<Vec<String>>>, Arc<Mutex<StatusCode>>);

async fn exchange(
    State((asked, status)): State<Exchange>,
    body: String,
) -> (StatusCode, Json<Value>) {
    let number = {
        let mut asked = asked.lock();
        asked.push(body);
        asked.len()
    };
    let status = *status.lock();
    let token = json!({
        "access_token": format!("federated-{number}"),
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 3600,
    });
    (
        status,
        Json(if status.is_success() {
            token
        } else {
            json!({"error": "invalid_grant"})
        }),
    )
}

#[tokio::test]
async fn workload_identity_exchanges_the_token_of_a_file_once() {
    let cloud = Cloud::start().await;
    cloud.key("k").await;
    let (service, folder) = (TokenService::start().await, tempfile::tempdir().unwrap());
    let file = service.credentials(folder.path());
    let kms = kms_as(&cloud, &file);
    let key = kms.key(&uri("k")).await.unwrap();
    let same = kms.clone().key(&uri("k")).await.unwrap();
    let sealed = key.encrypt(b"x").await.unwrap();
    same.decrypt(&sealed).await.unwrap();
    assert_eq!(last_scheme(&cloud).as_deref(), Some("Bearer"));
    let asked = service.asked.lock().clone();
    assert_eq!(
        asked.len(),
        1,
        "both keys share one connection and its token"
    );
    assert!(asked[0].contains("workload-token"));
}

#[tokio::test]
async fn another_value_reads_a_replaced_file_and_keys_outlive_their_value() {
    let cloud = Cloud::start().await;
    cloud.key("k").await;
    let (service, folder) = (TokenService::start().await, tempfile::tempdir().unwrap());
    let file = service.credentials(folder.path());
    let before = open_as(&cloud, &file).await.unwrap();
    let sealed = before.encrypt(b"x").await.unwrap();

    fs::write(&file, "{}").unwrap();
    let damaged = open_as(&cloud, &file).await.unwrap();
    let refused = damaged.decrypt(&sealed).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Misconfigured, "{refused}");

    service.credentials(folder.path());
    let after = open_as(&cloud, &file).await.unwrap();
    for (key, token) in [
        (&before, "federated-1"),
        (&after, "federated-2"),
        (&before, "federated-1"),
    ] {
        assert_eq!(*key.decrypt(&sealed).await.unwrap(), b"x");
        assert_eq!(last_token(&cloud).as_deref(), Some(token));
    }
}

#[tokio::test]
async fn credentials_that_were_refused_are_tried_again() {
    let cloud = Cloud::start().await;
    cloud.key("k").await;
    let (service, folder) = (TokenService::start().await, tempfile::tempdir().unwrap());
    let key = open_as(&cloud, &service.credentials(folder.path()))
        .await
        .unwrap();
    *service.status.lock() = StatusCode::FORBIDDEN;
    let error = key.encrypt(b"x").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(
        error.to_string().contains("GOOGLE_APPLICATION_CREDENTIALS"),
        "{error}"
    );
    *service.status.lock() = StatusCode::OK;
    key.encrypt(b"x").await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_missing_or_none_is_told_with_its_name() {
    let cloud = Cloud::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials.json");
    let key = open_as(&cloud, &file).await.unwrap();
    for content in [None, Some("{}"), Some(r#"{"type":"service_account"}"#)] {
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let error = key.encrypt(b"x").await.unwrap_err();
        assert!(error.to_string().contains("credentials.json"), "{error}");
        assert_eq!(kind(Err::<(), _>(error)), Kind::Misconfigured);
    }
    assert!(cloud.emulator.calls().is_empty());
}
