//! The HTTP side: routes, start and stop.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    json,
    store::{Shared, Store},
    xml,
};

/// The largest object.
const MAX_BODY: usize = 256 << 20;

/// How the server behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The most objects of one page of a listing, as 1,000 at Google.
    pub page: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { page: 1000 }
    }
}

impl Options {
    /// Sets the most objects of one page of a listing.
    #[must_use]
    pub fn with_page(mut self, objects: usize) -> Self {
        self.page = objects;
        self
    }
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// The system has no free port.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            store: Store::default(),
            page: options.page.max(1),
        });
        let service = routes(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, service).await });
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// `http://ADDRESS:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Creates a bucket. One that exists stays.
    pub fn create_bucket(&self, name: &str) {
        let _ = self.shared.store.create_bucket(name);
    }

    /// The names of the objects in a bucket.
    #[must_use]
    pub fn names(&self, bucket: &str) -> Vec<String> {
        let listed = self.shared.store.list(bucket, "", None, usize::MAX);
        let objects = listed.map(|page| page.objects).unwrap_or_default();
        objects.into_iter().map(|(name, _)| name).collect()
    }

    /// The credentials file of a service account that `object_store` uses without asking Google for a token.
    #[must_use]
    pub fn service_account(&self) -> String {
        serde_json::json!({
            "type": "service_account",
            "client_email": "fake@project.iam.gserviceaccount.com",
            "private_key_id": "none",
            "private_key": "none",
            "disable_oauth": true,
            "gcs_base_url": self.url(),
        })
        .to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/storage/v1/b", post(json::create_bucket))
        .route("/storage/v1/b/{bucket}", get(json::bucket))
        .route("/storage/v1/b/{bucket}/o", get(json::list))
        .route(
            "/storage/v1/b/{bucket}/o/{*name}",
            get(json::get).delete(json::delete),
        )
        .route("/download/storage/v1/b/{bucket}/o/{*name}", get(json::get))
        .route("/upload/storage/v1/b/{bucket}/o", post(json::upload))
        .route("/{bucket}", get(xml::list))
        .route(
            "/{bucket}/{*name}",
            get(xml::get).put(xml::put).delete(xml::delete),
        )
        .fallback(json::unknown)
        .method_not_allowed_fallback(json::unknown)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared)
}
