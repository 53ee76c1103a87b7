//! An AWS account, as a test sets it up.

use std::{io, sync::Arc};

use parking_lot::Mutex;

use crate::{
    Server,
    key::KeyState,
    server::EVERYWHERE,
    store::{Store, new_key},
};

/// An AWS account: its keys in all regions.
#[derive(Clone, Default)]
pub struct Account(Arc<Mutex<Store>>);

impl Account {
    /// An account without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The AWS KMS of `region`, and its AWS STS, on a port of this machine that the system picks.
    ///
    /// # Errors
    /// The system has no free port.
    pub async fn serve(&self, region: &str) -> io::Result<Server> {
        Server::start(self.0.clone(), region).await
    }

    /// The AWS KMS of all regions at one address. A call is for the region that it is signed for.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub async fn serve_everywhere(&self) -> io::Result<Server> {
        Server::start(self.0.clone(), EVERYWHERE).await
    }

    /// Makes a symmetric key in `region` and returns its ARN.
    #[must_use]
    pub fn symmetric_key(&self, region: &str) -> String {
        self.0.lock().create(region, false, false)
    }

    /// Makes a signing key in `region` and returns its ARN.
    #[must_use]
    pub fn signing_key(&self, region: &str) -> String {
        self.0.lock().create(region, true, false)
    }

    /// Makes a symmetric multi-region key, its primary in the first of `regions`, and returns that one's ARN.
    #[must_use]
    pub fn multi_region_key(&self, regions: &[&str]) -> String {
        let primary = regions.first().copied().unwrap_or("us-east-1");
        let mut key = new_key(primary, false, true);
        let placed = regions
            .iter()
            .map(|region| ((*region).to_owned(), KeyState::Enabled));
        key.regions.extend(placed);
        self.0.lock().add(key)
    }

    /// Points an alias of `region` at a key.
    pub fn alias(&self, region: &str, alias: &str, arn: &str) {
        let mut store = self.0.lock();
        if let Ok(key) = store.find(region, arn) {
            let id = key.id.clone();
            let name = (region.to_owned(), alias.to_owned());
            store.aliases.insert(name, id);
        }
    }

    /// Puts a key into a state in the region of its ARN.
    pub fn set_state(&self, arn: &str, state: KeyState) {
        let region = arn.split(':').nth(3).unwrap_or_default();
        if let Ok(key) = self.0.lock().find(region, arn) {
            key.regions.insert(region.to_owned(), state);
        }
    }
}
