//! Small requests to metadata servers of clouds, which are on the same machine or not there.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, redirect::Policy};
use temporal_kms_codec::kms::Web;

const TIMEOUT: Duration = Duration::from_secs(2);

/// The machine's own web servers.
pub(super) struct LocalWeb;

impl LocalWeb {
    fn client() -> Option<Client> {
        Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .ok()
    }
}

#[async_trait]
impl Web for LocalWeb {
    async fn get(&self, url: &str, (name, value): (&'static str, &'static str)) -> Option<String> {
        let request = Self::client()?.get(url).header(name, value);
        let answer = request.send().await.ok()?.error_for_status();
        let start = answer.ok()?.chunk().await.ok()??;
        String::from_utf8(start.to_vec()).ok()
    }

    async fn answers(&self, url: &str) -> bool {
        match Self::client() {
            Some(client) => client.head(url).send().await.is_ok(),
            None => false,
        }
    }
}
