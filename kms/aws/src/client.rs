//! AWS KMS in one region. The SDK is set up without retries, and with limits for time and size.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kms::{
    Client,
    config::{
        BehaviorVersion, ConfigBag, IdentityCache, Intercept, Region, RuntimeComponents,
        interceptors::BeforeDeserializationInterceptorContextMut, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    error::{BoxError, ProvideErrorMetadata, SdkError},
};
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;
use parking_lot::Mutex;

use super::{
    AwsOptions,
    error::Failure,
    name::{Arn, KeyName},
};
use temporal_kms::{EncryptionContext, KeyUri, ProviderError, ProviderErrorKind as Kind, endpoint};

/// Far longer than any answer of AWS KMS or AWS STS.
const MAX_ANSWER: usize = 1 << 20;

/// A key in one region.
#[derive(Clone, Debug)]
pub(super) struct RegionalKey {
    /// The key's name in the configuration.
    pub(super) uri: KeyUri,
    /// The key's name in this region.
    pub(super) name: KeyName,
    pub(super) region: String,
    pub(super) kms: Client,
    /// The key that the alias named in the last answer.
    pub(super) resolved: Resolved,
}

/// The ARN of the key behind a short name or an alias. Unknown until an answer tells it. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Resolved(Arc<Mutex<Option<Arn>>>);

impl Resolved {
    pub(super) fn arn(&self) -> Option<Arn> {
        self.0.lock().clone()
    }

    fn learn(&self, arn: Arn) {
        let mut known = self.0.lock();
        if known.as_ref() != Some(&arn) {
            *known = Some(arn);
        }
    }
}

impl RegionalKey {
    /// The `KeyId` of requests.
    pub(super) fn id(&self) -> String {
        self.name.to_string()
    }

    pub(super) fn error(&self, kind: Kind) -> ProviderError {
        ProviderError::new(kind, &self.uri)
    }

    /// Translates the failure of a call that needs `permission`.
    pub(super) fn failed<E>(
        &self,
        permission: &'static str,
    ) -> impl FnOnce(SdkError<E>) -> ProviderError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        move |error| Failure::of(&error).of_key(&self.uri, permission)
    }

    /// Refuses an answer about another key than the requested one.
    pub(super) fn check_answer(&self, key: Option<&str>) -> Result<(), ProviderError> {
        if let Some(key) = key.filter(|key| self.name.is_answered_by(key, &self.region)) {
            if let Some(arn) = Arn::parse(key) {
                self.resolved.learn(arn);
            }
            return Ok(());
        }
        Err(self
            .error(Kind::Integrity)
            .with_detail("its answer is of another key"))
    }
}

/// The pairs that AWS KMS authenticates. `None` for an empty context.
pub(super) fn pairs(context: &EncryptionContext) -> Option<HashMap<String, String>> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    (!context.is_empty()).then(|| context.iter().map(owned).collect())
}

/// What clients share: the credentials and their sessions.
#[derive(Clone, Debug)]
pub(super) struct Caller(aws_sdk_kms::Config);

impl Caller {
    pub(super) fn new(options: &AwsOptions, credentials: SharedCredentialsProvider) -> Self {
        let config = aws_sdk_kms::Config::builder()
            .behavior_version(behavior())
            .credentials_provider(credentials)
            .identity_cache(IdentityCache::lazy().build())
            .retry_config(no_retries())
            .timeout_config(timeouts())
            .use_fips(options.fips)
            .interceptor(BodyLimit);
        Self(config.build())
    }

    /// A client for AWS KMS in `region`, at `url` instead of the public endpoint if it is given. All clients come from
    /// one configuration. Credentials that are passed to each client separately would have separate sessions, despite
    /// the cache.
    pub(super) fn connect(&self, region: &str, url: Option<&str>) -> Client {
        let mut config = self.0.to_builder();
        config.set_region(Some(Region::new(region.to_owned())));
        config.set_endpoint_url(url.map(str::to_owned));
        Client::from_conf(config.build())
    }
}

/// What to do about an endpoint that cannot be used.
pub(super) const ENDPOINT_REMEDY: &str = "correct it, or leave it out for the public endpoint";

/// Checks every URL of the options before the first request.
pub(super) fn check_endpoints(options: &AwsOptions, key: &KeyUri) -> Result<(), ProviderError> {
    let replicas = options.replicas.iter().map(|replica| &replica.endpoint);
    let all = [&options.endpoint, &options.sts_endpoint];
    for url in all.into_iter().chain(replicas).flatten() {
        endpoint::check(url).map_err(|reason| {
            ProviderError::new(Kind::Misconfigured, key)
                .with_detail(format!("the URL of the AWS endpoint: {reason}"))
                .with_remedy(ENDPOINT_REMEDY)
        })?;
    }
    Ok(())
}

pub(super) fn behavior() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

pub(super) fn no_retries() -> RetryConfig {
    RetryConfig::disabled()
}

/// The last resort. The caller's own deadline is shorter, and leaves time for another region.
pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(10))
        .build()
}

/// Limits the size of answers.
#[derive(Debug)]
pub(super) struct BodyLimit;

impl Intercept for BodyLimit {
    fn name(&self) -> &'static str {
        "BodyLimit"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let whole = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(whole, MAX_ANSWER));
        Ok(())
    }
}
