//! The age of the version of each key that encrypts now. Only the key service knows it, so it is asked now and then.

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

/// When the versions that encrypt now were made.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyAges(Arc<Mutex<BTreeMap<KeyUri, SystemTime>>>);

impl KeyAges {
    pub(super) fn register(&self, instruments: &Instruments<'_>, labels: &Arc<Labels>) {
        let (ages, labels) = (self.clone(), Arc::clone(labels));
        instruments.gauge(&KMS_PRIMARY_VERSION_AGE, move |seen| {
            let now = SystemTime::now();
            for (key, created) in &*ages.0.lock() {
                let age = now.duration_since(*created).unwrap_or_default();
                let key = KeyValue::new("key", labels.key(key));
                seen.set(age.as_secs_f64(), &[key]);
            }
        });
    }

    /// Asks for the ages of `keys`, again and again. A service that does not permit the question is not asked again.
    pub(super) async fn watch(self, kms: Kms, mut keys: Vec<KeyUri>) {
        self.0.lock().retain(|key, _| keys.contains(key));
        loop {
            let mut pause = PAUSE;
            let mut askable = Vec::new();
            for key in keys {
                match timeout(LONGEST, created(&kms, &key)).await {
                    Ok(Ok(Some(created))) => {
                        self.0.lock().insert(key.clone(), created);
                        askable.push(key);
                    }
                    Ok(Ok(None)) => {
                        tracing::debug!(%key, "the service does not say how old the key is");
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

/// When the version that encrypts now was made.
async fn created(kms: &Kms, key: &KeyUri) -> Result<Option<SystemTime>, ProviderError> {
    let details = kms.admin(key).await?.details(key).await?;
    let primary = details.primary.and_then(|primary| primary.created);
    Ok(primary.or(details.created))
}
