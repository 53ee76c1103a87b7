//! Tells an observer of every change of a key, and of the questions that a server asks.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

use super::{
    observer::{CallObserver, Note, Observer, Outcome},
    operation::{Call, Operation},
};
use crate::{
    EncryptionContext, KeyAdmin, KeyDetails, KeyGrants, KeyRole, KeySpec, KeyUri, KeyVersion,
    ProviderError,
};

/// Looks after keys as `admin` does, and tells `observer` of every change. Of the read calls, it reports only
/// [`details`](KeyAdmin::details).
#[must_use]
pub fn observe_admin(
    admin: Arc<dyn KeyAdmin>,
    observer: Arc<dyn CallObserver>,
) -> Arc<dyn KeyAdmin> {
    Arc::new(ObservedAdmin {
        admin,
        observer: Some(observer),
    })
}

struct ObservedAdmin {
    admin: Arc<dyn KeyAdmin>,
    observer: Observer,
}

impl ObservedAdmin {
    async fn noted<T>(
        &self,
        operation: Operation,
        key: &KeyUri,
        details: &[(&'static str, &str)],
        call: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        let note = Note::begin(&self.observer, Call { operation, key }, details)?;
        let answer = call.await;
        let outcome = Outcome::of(&answer);
        note.end(answer, outcome).await
    }
}

// A method with a default that is missing here would change keys unseen.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl KeyAdmin for ObservedAdmin {
    async fn create(&self, key: &KeyUri, spec: &KeySpec) -> Result<KeyDetails, ProviderError> {
        let details = [("purpose", spec.purpose.as_str())];
        let change = self.admin.create(key, spec);
        self.noted(Operation::CreateKey, key, &details, change)
            .await
    }

    async fn list(&self, key: &KeyUri) -> Result<Vec<KeyDetails>, ProviderError> {
        self.admin.list(key).await
    }

    async fn details(&self, key: &KeyUri) -> Result<KeyDetails, ProviderError> {
        let question = self.admin.details(key);
        self.noted(Operation::Describe, key, &[], question).await
    }

    async fn versions(&self, key: &KeyUri) -> Result<Vec<KeyVersion>, ProviderError> {
        self.admin.versions(key).await
    }

    async fn rotate(&self, key: &KeyUri) -> Result<(), ProviderError> {
        let change = self.admin.rotate(key);
        self.noted(Operation::RotateKey, key, &[], change).await
    }

    async fn set_primary(&self, key: &KeyUri, version: &str) -> Result<(), ProviderError> {
        let change = self.admin.set_primary(key, version);
        self.noted(
            Operation::SetPrimary,
            key,
            &of_version(Some(version)),
            change,
        )
        .await
    }

    async fn set_rotation(
        &self,
        key: &KeyUri,
        period: Option<Duration>,
    ) -> Result<(), ProviderError> {
        let seconds = period.map_or_else(
            || "never".to_owned(),
            |period| format!("{}s", period.as_secs()),
        );
        let details = [("period", seconds.as_str())];
        let change = self.admin.set_rotation(key, period);
        self.noted(Operation::SetRotation, key, &details, change)
            .await
    }

    async fn disable(&self, key: &KeyUri, version: Option<&str>) -> Result<(), ProviderError> {
        let change = self.admin.disable(key, version);
        self.noted(Operation::DisableKey, key, &of_version(version), change)
            .await
    }

    async fn enable(&self, key: &KeyUri, version: Option<&str>) -> Result<(), ProviderError> {
        let change = self.admin.enable(key, version);
        self.noted(Operation::EnableKey, key, &of_version(version), change)
            .await
    }

    async fn destroy(
        &self,
        key: &KeyUri,
        version: Option<&str>,
    ) -> Result<Option<SystemTime>, ProviderError> {
        let change = self.admin.destroy(key, version);
        self.noted(Operation::DestroyKey, key, &of_version(version), change)
            .await
    }

    async fn replicate(&self, key: &KeyUri, region: &str) -> Result<KeyUri, ProviderError> {
        let change = self.admin.replicate(key, region);
        self.noted(Operation::ReplicateKey, key, &[("region", region)], change)
            .await
    }

    async fn grant(
        &self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
    ) -> Result<bool, ProviderError> {
        let details = [("member", member), ("role", role.as_str())];
        let change = self.admin.grant(key, member, role);
        self.noted(Operation::Grant, key, &details, change).await
    }

    async fn grant_for_context(
        &self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
        context: &EncryptionContext,
    ) -> Result<bool, ProviderError> {
        let pairs = shown(context);
        let details = [
            ("member", member),
            ("role", role.as_str()),
            ("context", pairs.as_str()),
        ];
        let change = self.admin.grant_for_context(key, member, role, context);
        self.noted(Operation::Grant, key, &details, change).await
    }

    async fn revoke(
        &self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
    ) -> Result<bool, ProviderError> {
        let details = [("member", member), ("role", role.as_str())];
        let change = self.admin.revoke(key, member, role);
        self.noted(Operation::Revoke, key, &details, change).await
    }

    async fn revoke_for_context(
        &self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
        context: &EncryptionContext,
    ) -> Result<bool, ProviderError> {
        let pairs = shown(context);
        let details = [
            ("member", member),
            ("role", role.as_str()),
            ("context", pairs.as_str()),
        ];
        let change = self.admin.revoke_for_context(key, member, role, context);
        self.noted(Operation::Revoke, key, &details, change).await
    }

    async fn grants(&self, key: &KeyUri) -> Result<KeyGrants, ProviderError> {
        self.admin.grants(key).await
    }
}

/// The pairs of a context in a line.
fn shown(context: &EncryptionContext) -> String {
    let pairs = context.iter();
    let pairs: Vec<_> = pairs
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(",")
}

fn of_version(version: Option<&str>) -> [(&'static str, &str); 1] {
    [("version", version.unwrap_or("all"))]
}

impl fmt::Debug for ObservedAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.admin, f)
    }
}
