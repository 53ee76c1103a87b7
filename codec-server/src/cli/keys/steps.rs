//! The steps of `keys setup`. A failed step does not hide the finished ones, and does not stop independent ones.

use temporal_kms_codec::{
    EncryptionContext, KeyUri,
    kms::{
        KeyAdmin, KeyDetails, KeyRole, KeySetup, KeySpec, KeyState, ProviderError,
        ProviderErrorKind as Kind,
    },
};
use temporal_kms_codec_service::steps::{Step, StepOutcome};

use super::{super::exit::Status, report::schedule};

/// Brings a key into the requested state, step by step.
pub(super) struct Steps<'a> {
    admin: &'a dyn KeyAdmin,
    service: &'a dyn KeySetup,
    key: &'a KeyUri,
    dry_run: bool,
    is_usable: bool,
    /// The key as it is, once it is known.
    found: Option<KeyDetails>,
    done: Vec<Step>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(
        admin: &'a dyn KeyAdmin,
        service: &'a dyn KeySetup,
        key: &'a KeyUri,
        dry_run: bool,
    ) -> Self {
        Self {
            admin,
            service,
            key,
            dry_run,
            is_usable: true,
            found: None,
            done: Vec::new(),
        }
    }

    /// The steps, and whether the key exists, or would exist.
    pub(super) fn finish(self) -> (Vec<Step>, bool) {
        (self.done, self.is_usable)
    }

    /// The name of the key that its service gave it. `None` while it does not exist.
    pub(super) fn own_name(&self) -> Option<&KeyUri> {
        self.found.as_ref().map(|found| &found.uri)
    }

    /// The key, its place and its rotation.
    pub(super) async fn key(&mut self, spec: &KeySpec) {
        let key = self.key;
        match self.admin.details(key).await {
            Ok(found) => match unlike(&found, spec) {
                None => {
                    self.note("key", format!("key {key}"), StepOutcome::Unchanged);
                    self.rotation(&found, spec).await;
                    self.found = Some(found);
                }
                Some(wrong) => {
                    let error = format!("{key} {wrong}");
                    self.give_up(spec, Status::Configuration, &error);
                }
            },
            Err(error) if error.kind() == Kind::KeyNotFound => self.create(spec).await,
            Err(error) => self.give_up(spec, Status::of_provider(&error), &error),
        }
    }

    async fn create(&mut self, spec: &KeySpec) {
        let key = self.key;
        let what = self.creation();
        if self.dry_run {
            self.note("key", what, StepOutcome::Planned);
            return self.note("rotation", rotation(spec), StepOutcome::Planned);
        }
        match self.admin.create(key, spec).await {
            Ok(made) => {
                self.found = Some(made);
                self.note("key", what, StepOutcome::Changed);
                self.note("rotation", rotation(spec), StepOutcome::Changed);
            }
            // Creating takes several calls. The key may exist although a later call failed.
            Err(error) => match self.admin.details(key).await {
                Ok(found) => {
                    self.found = Some(found);
                    self.note("key", what, StepOutcome::Changed);
                    self.fail("rotation", rotation(spec), &error);
                }
                Err(_) => self.give_up(spec, Status::of_provider(&error), &error),
            },
        }
    }

    /// Without the key nothing else can be done.
    fn give_up(&mut self, spec: &KeySpec, exit: Status, error: &impl ToString) {
        let step = Step::failed("key", self.creation(), exit, error);
        self.done.push(step);
        self.is_usable = false;
        self.note("rotation", rotation(spec), StepOutcome::Skipped);
    }

    async fn rotation(&mut self, found: &KeyDetails, spec: &KeySpec) {
        let what = rotation(spec);
        if found.rotation_period == spec.rotation_period {
            return self.note("rotation", what, StepOutcome::Unchanged);
        }
        if self.dry_run {
            return self.note("rotation", what, StepOutcome::Planned);
        }
        let set = self.admin.set_rotation(self.key, spec.rotation_period);
        match set.await {
            Ok(()) => self.note("rotation", what, StepOutcome::Changed),
            Err(error) => self.fail("rotation", what, &error),
        }
    }

    /// The replica in one region. `None` when there is none yet.
    pub(super) async fn replica(&mut self, region: &str) -> Option<KeyUri> {
        let what = format!("create the replica in {region}");
        if !self.is_usable {
            self.note("replica", what, StepOutcome::Skipped);
            return None;
        }
        let mut replicas = self.found.iter().flat_map(|found| &found.replicas);
        if let Some(replica) = replicas.find(|key| self.service.is_in_region(key, region)) {
            let replica = replica.clone();
            self.note("replica", what, StepOutcome::Unchanged);
            return Some(replica);
        }
        if self.dry_run {
            self.note("replica", what, StepOutcome::Planned);
            return None;
        }
        match self.admin.replicate(self.key, region).await {
            Ok(replica) => {
                self.note("replica", what, StepOutcome::Changed);
                Some(replica)
            }
            Err(error) => {
                self.fail("replica", what, &error);
                None
            }
        }
    }

    /// The permission of one account, also on the replicas.
    pub(super) async fn grant(
        &mut self,
        member: &str,
        role: KeyRole,
        context: &EncryptionContext,
        replicas: &[KeyUri],
    ) {
        self.grant_on(self.key, member, role, context).await;
        for replica in replicas {
            self.grant_on(replica, member, role, context).await;
        }
    }

    async fn grant_on(
        &mut self,
        key: &KeyUri,
        member: &str,
        role: KeyRole,
        context: &EncryptionContext,
    ) {
        let may = match role {
            KeyRole::Encrypter => "encrypt",
            KeyRole::Decrypter => "decrypt",
            _ => "use the key",
        };
        let only = context
            .iter()
            .find(|(name, _)| *name == "namespace")
            .map_or_else(String::new, |(_, namespace)| {
                format!(" payloads of namespace {namespace}")
            });
        let with = if key == self.key {
            String::new()
        } else {
            format!(" with {key}")
        };
        let what = format!("let {member} {may}{only}{with}");
        if !self.is_usable {
            return self.note("grant", what, StepOutcome::Skipped);
        }
        if self.dry_run {
            return self.note("grant", what, StepOutcome::PlannedIfMissing);
        }
        let granted = self.admin.grant_for_context(key, member, role, context);
        match granted.await {
            Ok(true) => self.note("grant", what, StepOutcome::Changed),
            Ok(false) => self.note("grant", what, StepOutcome::Unchanged),
            Err(error) => self.fail("grant", what, &error),
        }
    }

    fn creation(&self) -> String {
        let key = self.key;
        match self.service.created_with_keys() {
            Some(place) => format!("create key {key} (and {place})"),
            None => format!("create key {key}"),
        }
    }

    fn note(&mut self, step: &'static str, what: String, outcome: StepOutcome) {
        self.done.push(Step::new(step, what, outcome));
    }

    fn fail(&mut self, step: &'static str, what: String, error: &ProviderError) {
        let exit = Status::of_provider(error);
        self.done.push(Step::failed(step, what, exit, error));
    }
}

fn rotation(spec: &KeySpec) -> String {
    format!("have it {}", schedule(spec.rotation_period))
}

/// A property of the key that differs from the request and cannot be changed here, with the remedy.
fn unlike(found: &KeyDetails, spec: &KeySpec) -> Option<&'static str> {
    let wanted = spec.protection;
    if found.purpose != spec.purpose {
        Some("exists already, but not for encryption; choose another name")
    } else if wanted.is_some_and(|wanted| wanted != found.protection) {
        Some("exists already with another protection, which cannot be changed; choose another name")
    } else if spec.multi_region && !found.multi_region {
        Some("exists already as a key of one region, which cannot be changed; choose another name")
    } else if spec
        .destroy_delay
        .is_some_and(|wanted| Some(wanted) != found.destroy_delay)
    {
        Some(
            "exists already with another destroy delay, which cannot be changed; choose another name",
        )
    } else if found
        .primary
        .as_ref()
        .is_some_and(|primary| primary.state != KeyState::Enabled)
    {
        Some(
            "exists already, but its version that encrypts is disabled or being destroyed; enable it (codec-server keys enable), or rotate the key",
        )
    } else {
        None
    }
}
