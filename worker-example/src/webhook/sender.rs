//! Sends webhooks.

use std::{
    error::Error as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use reqwest::{Client, StatusCode, header::CONTENT_TYPE, redirect::Policy};
use url::{Host, Url};

use super::{
    address::AddressPolicy,
    body::Body,
    error::{Problem, WebhookError},
    resolver::{CheckedResolver, HostError, Lookup, SystemLookup},
    signature::{CallbackSecret, CallbackSecrets, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time of one attempt, from name resolution to the head of the answer.
const TIMEOUT: Duration = Duration::from_secs(30);
const USER_AGENT: &str = concat!("claude-tasks/", env!("CARGO_PKG_VERSION"));

/// Sends webhooks to permitted addresses, and signs them.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    client: Client,
    policy: Arc<AddressPolicy>,
    secrets: CallbackSecrets,
}

impl Sender {
    /// A sender with these secrets for addresses that the policy permits.
    ///
    /// # Errors
    /// When the certificate authorities of the system cannot be read.
    pub(crate) fn new(
        secrets: CallbackSecrets,
        policy: AddressPolicy,
    ) -> Result<Self, reqwest::Error> {
        Self::with_lookup(secrets, policy, Arc::new(SystemLookup))
    }

    pub(super) fn with_lookup(
        secrets: CallbackSecrets,
        policy: AddressPolicy,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, reqwest::Error> {
        let policy = Arc::new(policy);
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // A redirect could lead to an address that is not permitted, and would take the signed body along.
            .redirect(Policy::none())
            // A proxy would look names up itself.
            .no_proxy()
            // Each webhook gets a connection to an address that was checked for it.
            .pool_max_idle_per_host(0)
            .referer(false)
            .user_agent(USER_AGENT)
            .dns_resolver(Arc::new(CheckedResolver::new(Arc::clone(&policy), lookup)))
            .build()?;
        Ok(Self {
            client,
            policy,
            secrets,
        })
    }

    /// The secrets that sign, and that approve what is signed.
    pub(crate) fn secrets(&self) -> &CallbackSecrets {
        &self.secrets
    }

    /// Sends a webhook once. During a rotation of secrets, a receiver that refuses the signature gets the webhook again at
    /// once, signed with the previous secret.
    ///
    /// # Errors
    /// When the receiver did not acknowledge it with a status of 200 to 299.
    pub(crate) async fn send(&self, url: &str, body: &Body) -> Result<(), WebhookError> {
        let (url, host) = self.checked(url)?;
        let body = body
            .to_json()
            .map_err(|_| WebhookError::new(&host, Problem::Body))?;
        let mut sent = Ok(());
        for secret in self.secrets.in_order() {
            sent = self.attempt(&url, &host, secret, &body).await;
            let refused = sent.as_ref().err().and_then(WebhookError::status);
            if !matches!(refused, Some(401 | 403)) {
                break;
            }
        }
        sent
    }

    /// The URL and its host. An address in the URL is checked here, because it is not looked up.
    fn checked(&self, url: &str) -> Result<(Url, String), WebhookError> {
        let wrong = || WebhookError::new("callbackUrl", Problem::Url);
        let url: Url = url.parse().map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        let host = url.host().ok_or_else(wrong)?;
        let permitted = match &host {
            Host::Domain(name) => !name.is_empty(),
            Host::Ipv4(address) => self.policy.permits((*address).into()),
            Host::Ipv6(address) => self.policy.permits((*address).into()),
        };
        let host = host.to_string();
        if !permitted {
            return Err(WebhookError::new(&host, Problem::Refused));
        }
        Ok((url, host))
    }

    async fn attempt(
        &self,
        url: &Url,
        host: &str,
        secret: &CallbackSecret,
        body: &[u8],
    ) -> Result<(), WebhookError> {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let timestamp = now.as_secs().to_string();
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(SIGNATURE_HEADER, sign(secret, &timestamp, body))
            .header(TIMESTAMP_HEADER, timestamp)
            .body(body.to_vec());
        // The body of the answer is not read: it may be endless, and says nothing that counts.
        let answer = request
            .send()
            .await
            .map_err(|error| WebhookError::new(host, problem(&error)))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status if status.is_redirection() => {
                Err(WebhookError::new(host, Problem::Redirect(status.as_u16())))
            }
            status => Err(WebhookError::new(host, status_problem(status))),
        }
    }
}

fn status_problem(status: StatusCode) -> Problem {
    Problem::Status(status.as_u16())
}

/// What went wrong, without the URL that the library's text repeats.
fn problem(error: &reqwest::Error) -> Problem {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(HostError::Refused) = inner.downcast_ref() {
            return Problem::Refused;
        }
        source = inner.source();
    }
    Problem::Transport(if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "the connection failed. Check its name, its port and its certificate"
    } else {
        "the connection broke"
    })
}
