//! The version of each key that encrypts now, and its age. Only the key service knows them, so it is asked now and then.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use opentelemetry::KeyValue;
use parking_lot::Mutex;
use temporal_kms_codec::{
    KeyUri,
    kms::{Kms, ProviderError, ProviderErrorKind},
};
use tokio::time::{sleep, timeout};

use super::{catalogue::KMS_PRIMARY_VERSION_AGE, instruments::Instruments, labels::Labels};

/// A new version is noticed after this time at the latest.
const PAUSE: Duration = Duration::from_hours(1);
/// The pause after a service could not be reached.
const SHORT_PAUSE: Duration = Duration::from_mins(2);
/// The longest that a service may take to describe a key.
const LONGEST: Duration = Duration::from_secs(30);

/// The version of a key that encrypts, as its service last told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrimaryVersion {
    /// Its name within the key.
    pub version: Option<String>,
    /// When it was made.
    pub created: Option<SystemTime>,
    /// When the service told it.
    pub told_at: SystemTime,
}

/// The versions that encrypt now, and when they were made.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyAges(Arc<Mutex<BTreeMap<KeyUri, PrimaryVersion>>>);

impl KeyAges {
    pub(super) fn register(&self, instruments: &Instruments<'_>, labels: &Arc<Labels>) {
        let (ages, labels) = (self.clone(), Arc::clone(labels));
        instruments.gauge(&KMS_PRIMARY_VERSION_AGE, move |seen| {
            let now = SystemTime::now();
            for (key, primary) in ages.known() {
                let Some(created) = primary.created else {
                    continue;
                };
                let age = now.duration_since(created).unwrap_or_default();
                let key = KeyValue::new("key", labels.key(&key));
                seen.set(age.as_secs_f64(), &[key]);
            }
        });
    }

    /// What the services have told so far.
    pub(super) fn known(&self) -> BTreeMap<KeyUri, PrimaryVersion> {
        self.0.lock().clone()
    }

    /// Asks for the versions of `keys`, again and again. A service that does not permit the question is not asked again.
    pub(super) async fn watch(self, kms: Kms, mut keys: Vec<KeyUri>) {
        self.0.lock().retain(|key, _| keys.contains(key));
        loop {
            let mut pause = PAUSE;
            let mut askable = Vec::new();
            for key in keys {
                match timeout(LONGEST, primary(&kms, &key)).await {
                    Ok(Ok(PrimaryVersion {
                        version: None,
                        created: None,
                        ..
                    })) => {
                        tracing::debug!(%key, "the service says neither the version nor the age of the key");
                    }
                    Ok(Ok(primary)) => {
                        self.0.lock().insert(key.clone(), primary);
                        askable.push(key);
                    }
                    Ok(Err(error)) if !error.is_transient() => not_asked_again(&key, &error),
                    Ok(Err(_)) | Err(_) => {
                        pause = SHORT_PAUSE;
                        askable.push(key);
                    }
                }
            }
            if askable.is_empty() {
                return;
            }
            keys = askable;
            sleep(pause).await;
        }
    }
}

fn not_asked_again(key: &KeyUri, error: &ProviderError) {
    if error.kind() == ProviderErrorKind::PermissionDenied {
        tracing::info!(
            %key,
            "this server may not ask how old the key is, so its age is not among the metrics; permit it to describe the \
             key, or set `telemetry.key_ages = false`"
        );
    } else {
        tracing::debug!(%key, %error, "the age of the key is not known");
    }
}

/// The version that encrypts now.
async fn primary(kms: &Kms, key: &KeyUri) -> Result<PrimaryVersion, ProviderError> {
    let details = kms.admin(key).await?.details(key).await?;
    let primary = details.primary;
    let created = primary.as_ref().and_then(|primary| primary.created);
    Ok(PrimaryVersion {
        version: primary.map(|primary| primary.id),
        created: created.or(details.created),
        told_at: SystemTime::now(),
    })
}
