//! Whether the encrypting keys can be used: what they answer when they are asked, and what later calls show.

use std::collections::BTreeMap;

use temporal_kms_codec::{
    KeyUri,
    kms::{Operation, Outcome, ProviderError, ProviderErrorKind},
};

use super::{Condition, Phase};

/// The answers of the keys when each was asked.
pub(super) type Answers = BTreeMap<KeyUri, Result<(), ProviderError>>;

/// What is known of each encrypting key.
#[derive(Debug, Default)]
pub(super) struct Keys(BTreeMap<KeyUri, State>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Usable,
    /// A later call may succeed.
    Unreachable(ProviderErrorKind),
    /// An operator must change something first, such as enable a disabled key. A server that only decodes lacks the
    /// permission to encrypt by intent.
    Refused(ProviderErrorKind),
}

impl Keys {
    /// The keys after these answers.
    pub(super) fn of(answers: &Answers) -> Self {
        let state = |answer: &Result<(), ProviderError>| match answer {
            Ok(()) => State::Usable,
            Err(error) => State::failed(error.kind()),
        };
        let keys = answers.iter();
        Self(
            keys.map(|(key, answer)| (key.clone(), state(answer)))
                .collect(),
        )
    }

    /// Whether every key has answered, and one of them can be used or lacks only the permission to encrypt.
    pub(super) fn are_settled(&self) -> bool {
        let mut states = self.0.values();
        let is_usable = |state: &State| {
            matches!(
                state,
                State::Usable | State::Refused(ProviderErrorKind::PermissionDenied)
            )
        };
        // With static keys alone there is nothing to ask.
        let answers = self.0.is_empty() || states.clone().any(is_usable);
        answers && !states.any(|state| matches!(state, State::Unreachable(_)))
    }

    /// What a server in `phase` says of them. Once it was ready, its keys do not make it unready again: data keys in
    /// memory serve requests, and a balancer that takes all servers away would end that, too.
    pub(super) fn condition(&self, phase: Phase) -> Condition {
        let states = self.0.values();
        let mut kinds: Vec<&str> = states.filter_map(|state| state.failure()).collect();
        let (failed, all) = (kinds.len(), self.0.len());
        if failed == 0 {
            return Condition::Met;
        }
        kinds.sort_unstable();
        kinds.dedup();
        let kinds = kinds.join(", ");
        let reason = format!(
            "{failed} of {all} encrypting keys cannot be used ({kinds}); the log names them"
        );
        if phase == Phase::Starting && !self.are_settled() {
            Condition::Unmet(reason)
        } else {
            Condition::Degraded(reason)
        }
    }

    /// Takes over how a call of `key` ended. Whether that changes anything.
    pub(super) fn learn(&mut self, operation: Operation, key: &KeyUri, outcome: Outcome) -> bool {
        let Some(known) = self.0.get_mut(key) else {
            return false;
        };
        let Some(state) = known.after(operation, outcome) else {
            return false;
        };
        if state == *known {
            return false;
        }
        if let Some(error) = state.failure() {
            tracing::warn!(%key, error, "calls of this key fail; requests whose data keys are in memory are served");
        } else {
            tracing::info!(%key, "this key can be used again");
        }
        *known = state;
        true
    }
}

impl State {
    fn failed(kind: ProviderErrorKind) -> Self {
        if kind.is_transient() {
            Self::Unreachable(kind)
        } else {
            Self::Refused(kind)
        }
    }

    /// The kind of its error.
    fn failure(self) -> Option<&'static str> {
        match self {
            Self::Usable => None,
            Self::Unreachable(kind) | Self::Refused(kind) => Some(kind.as_str()),
        }
    }

    /// What a call shows. `None` where it shows nothing.
    fn after(self, operation: Operation, outcome: Outcome) -> Option<Self> {
        let encrypts = match operation {
            Operation::Wrap | Operation::Encrypt => true,
            Operation::Unwrap | Operation::Decrypt => false,
            // Many servers lack the permission for the others.
            _ => return None,
        };
        match outcome {
            Outcome::Done if encrypts => Some(Self::Usable),
            Outcome::Failed(kind) if encrypts || kind.is_transient() => Some(Self::failed(kind)),
            // Callers decide what is decrypted. A refusal shows only that the service answers.
            Outcome::Done | Outcome::Failed(_) if matches!(self, Self::Unreachable(_)) => {
                Some(Self::Usable)
            }
            _ => None,
        }
    }
}

/// Tells the log of keys that have all answered.
pub(super) fn log_settled(answers: &Answers) {
    let (mut usable, mut denied, mut broken) = (0_usize, 0_usize, 0_usize);
    for (key, answer) in answers {
        match answer {
            Ok(()) => usable += 1,
            Err(error) if error.kind() == ProviderErrorKind::PermissionDenied => {
                denied += 1;
                tracing::warn!(%key, %error, "this key cannot encrypt; decoding may still work");
            }
            Err(error) => {
                broken += 1;
                tracing::warn!(%key, %error, "this key cannot be used; other keys are served");
            }
        }
    }
    if denied + broken == 0 {
        tracing::info!("ready: every encrypting key answers");
    } else {
        tracing::warn!(
            usable,
            denied,
            broken,
            "ready, but not every key can encrypt"
        );
    }
}

/// Tells the log of keys that are asked again.
pub(super) fn log_waiting(answers: &Answers, phase: Phase) {
    for (key, answer) in answers {
        let Err(error) = answer else { continue };
        if phase == Phase::Starting {
            tracing::warn!(%key, %error, "not ready: this key cannot be used");
        } else {
            tracing::warn!(%key, %error, "degraded: this key cannot be used, and is asked again");
        }
    }
}
