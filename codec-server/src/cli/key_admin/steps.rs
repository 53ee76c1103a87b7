use serde::Serialize;
use temporal_kms_codec::{
    KeyUri,
    kms::{KeyAdmin, KeyDetails, KeyRole, KeySpec, ProviderErrorKind as Kind},
};

use super::{
    super::exit::{Failure, Status},
    failed,
    operation::schedule,
};

/// One thing that `setup` sees to.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    #[serde(rename = "step")]
    name: &'static str,
    what: String,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// It was done.
    Changed,
    /// It was as it should be.
    Unchanged,
    /// A dry run would do it.
    Planned,
    /// A dry run would do it if it was not so: the service tells that only to who changes it.
    PlannedIfMissing,
}

impl Step {
    pub(super) fn new(step: &'static str, what: String, outcome: Outcome) -> Self {
        Self {
            name: step,
            what,
            outcome,
        }
    }

    pub(super) fn text(&self) -> String {
        let how = match self.outcome {
            Outcome::Changed => "done",
            Outcome::Unchanged => "unchanged",
            Outcome::Planned => "would do",
            Outcome::PlannedIfMissing => "would do if missing",
        };
        format!("{how}: {}", self.what)
    }
}

/// Brings a key into a state, step by step.
pub(super) struct Steps<'a> {
    admin: &'a dyn KeyAdmin,
    key: &'a KeyUri,
    dry_run: bool,
    done: Vec<Step>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(admin: &'a dyn KeyAdmin, key: &'a KeyUri, dry_run: bool) -> Self {
        Self {
            admin,
            key,
            dry_run,
            done: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Vec<Step> {
        self.done
    }

    /// The key, its place and its rotation.
    pub(super) async fn key(&mut self, spec: &KeySpec) -> Result<(), Failure> {
        let key = self.key;
        match self.admin.details(key).await {
            Ok(found) => {
                self.check(&found, spec)?;
                self.note("key", format!("the key {key}"), Outcome::Unchanged);
                self.rotation(&found, spec).await
            }
            Err(error) if error.kind() == Kind::KeyNotFound => {
                let outcome = self.outcome();
                if !self.dry_run {
                    self.admin.create(key, spec).await.map_err(failed)?;
                }
                self.note(
                    "key",
                    format!("make the key {key} and what it stands in"),
                    outcome,
                );
                let rotation = schedule(spec.rotation_period);
                self.note("rotation", format!("have it {rotation}"), outcome);
                Ok(())
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// What cannot be changed any more must be right.
    fn check(&self, found: &KeyDetails, spec: &KeySpec) -> Result<(), Failure> {
        let wrong = if found.purpose != spec.purpose {
            "it is there already, but not for encryption"
        } else if spec
            .protection
            .is_some_and(|wanted| wanted != found.protection)
        {
            "it is there already with another protection, which no key can change"
        } else {
            return Ok(());
        };
        Err(Failure::new(
            Status::Usage,
            format_args!("{}: {wrong}; choose another name", self.key),
        ))
    }

    async fn rotation(&mut self, found: &KeyDetails, spec: &KeySpec) -> Result<(), Failure> {
        let period = spec.rotation_period;
        let outcome = if found.rotation_period == period {
            Outcome::Unchanged
        } else {
            self.outcome()
        };
        if outcome == Outcome::Changed {
            let set = self.admin.set_rotation(self.key, period);
            set.await.map_err(failed)?;
        }
        self.note("rotation", format!("have it {}", schedule(period)), outcome);
        Ok(())
    }

    /// The permission of one account.
    pub(super) async fn grant(&mut self, member: &str, role: KeyRole) -> Result<(), Failure> {
        let outcome = if self.dry_run {
            Outcome::PlannedIfMissing
        } else {
            let granted = self.admin.grant(self.key, member, role).await;
            if granted.map_err(failed)? {
                Outcome::Changed
            } else {
                Outcome::Unchanged
            }
        };
        let may = match role {
            KeyRole::Encrypter => "encrypt",
            KeyRole::Decrypter => "decrypt",
            _ => "use the key",
        };
        self.note("grant", format!("let {member} {may}"), outcome);
        Ok(())
    }

    fn outcome(&self) -> Outcome {
        if self.dry_run {
            Outcome::Planned
        } else {
            Outcome::Changed
        }
    }

    fn note(&mut self, step: &'static str, what: String, outcome: Outcome) {
        self.done.push(Step::new(step, what, outcome));
    }
}
