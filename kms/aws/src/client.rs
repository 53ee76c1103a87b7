//! One region's AWS KMS, and how the SDK is set up for it: no retries of its own, bounded times and sizes.

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

/// No answer of AWS KMS or AWS STS is nearly as long.
const MAX_ANSWER: usize = 1 << 20;

/// A key in one region.
#[derive(Clone, Debug)]
pub(super) struct RegionalKey {
    /// The key as the caller knows it.
    pub(super) uri: KeyUri,
    /// The key as this region knows it.
    pub(super) name: KeyName,
    pub(super) region: String,
    pub(super) kms: Client,
    /// The key that its alias stood for in the last answer.
    pub(super) resolved: Resolved,
}

/// The ARN of the key behind a short name or an alias, once an answer has told it. Clones share it.
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
    /// What is sent as `KeyId`.
    pub(super) fn id(&self) -> String {
        self.name.to_string()
    }

    pub(super) fn error(&self, kind: Kind) -> ProviderError {
        ProviderError::new(kind, &self.uri)
    }

    /// Maps the failure of a call that takes `permission`.
    pub(super) fn failed<E>(
        &self,
        permission: &'static str,
    ) -> impl FnOnce(SdkError<E>) -> ProviderError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        move |error| Failure::of(&error).of_key(&self.uri, permission)
    }

    /// Refuses an answer that is not of the key that was asked for.
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

/// The pairs that AWS KMS authenticates, `None` where there are none.
pub(super) fn pairs(context: &EncryptionContext) -> Option<HashMap<String, String>> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    (!context.is_empty()).then(|| context.iter().map(owned).collect())
}

/// What clients share: who they are, and the sessions that they have.
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

    /// A client of the AWS KMS of `region`, at `url` if that is not the public one. It is made from the one
    /// configuration: credentials that are given to each client anew have sessions of their own, whatever the cache.
    pub(super) fn connect(&self, region: &str, url: Option<&str>) -> Client {
        let mut config = self.0.to_builder();
        config.set_region(Some(Region::new(region.to_owned())));
        config.set_endpoint_url(url.map(str::to_owned));
        Client::from_conf(config.build())
    }
}

/// Checks every URL of the options before anything is sent to one.
pub(super) fn check_endpoints(options: &AwsOptions, key: &KeyUri) -> Result<(), ProviderError> {
    let replicas = options.replicas.iter().map(|replica| &replica.endpoint);
    let all = [&options.endpoint, &options.sts_endpoint];
    for url in all.into_iter().chain(replicas).flatten() {
        endpoint::check(url).map_err(|reason| {
            ProviderError::new(Kind::Misconfigured, key)
                .with_detail(format!("the URL of the AWS endpoint: {reason}"))
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

/// A backstop: the caller's own deadline is shorter, and leaves time for another region.
pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(10))
        .build()
}

/// Stops reading answers that do not end.
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
