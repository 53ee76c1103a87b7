//! Each permission, tried with a call.

use temporal_kms_codec::{
    Dek, WrappedDek,
    kms::{
        Diagnose, KeyProvider, Operation, Protection, ProviderError, ProviderErrorKind as Kind,
        UsableKey,
    },
};

use super::{
    advice,
    finding::{Check, Finding},
    permission::{Caller, permitted, unfaithful},
    subject::Uses,
};

/// What direct mode is tried with; not a secret.
const PROBE: &[u8; 32] = b"codec-server doctor was here 123";
/// Bytes that no service has encrypted. A service refuses a caller who may not decrypt before it looks at them.
const NOTHING: &[u8; 64] = &[0x5a; 64];

/// The calls that tell whether the key can be used at all.
pub(super) struct First {
    pub(super) described: Result<UsableKey, ProviderError>,
    pub(super) wrapped: Result<(Dek, WrappedDek), ProviderError>,
}

impl First {
    pub(super) async fn try_on(key: &dyn KeyProvider, uses: &Uses) -> Self {
        Self {
            described: key.check_usable().await,
            wrapped: key.generate_dek(&uses.context).await,
        }
    }

    /// The error that prevents everything else. A refused permission only prevents its own operation.
    pub(super) fn obstacle(&self) -> Option<&ProviderError> {
        let errors = [self.wrapped.as_ref().err(), self.described.as_ref().err()];
        errors
            .into_iter()
            .flatten()
            .find(|error| advice::check(error) != Check::Permission)
    }
}

/// A finding for each operation, and whether the key can do its work.
pub(super) struct Access<'a> {
    pub(super) caller: Caller<'a>,
    pub(super) provider: &'a dyn KeyProvider,
    pub(super) uses: &'a Uses,
}

impl Access<'_> {
    pub(super) async fn findings(&self, first: &First) -> Vec<Finding> {
        let mut findings = vec![self.wrap(first), self.unwrap(first).await];
        if self.uses.direct {
            findings.extend(self.direct().await);
        }
        findings.push(Self::describe(first));
        findings
    }

    fn wrap(&self, first: &First) -> Finding {
        match &first.wrapped {
            Ok(_) => permitted(Operation::Wrap),
            Err(error) if self.uses.encrypts => self.caller.refused(Operation::Wrap, error),
            Err(_) => Finding::skipped(
                Check::Permission,
                "wrap: not permitted, and not needed: the key only decrypts here",
            ),
        }
    }

    async fn unwrap(&self, first: &First) -> Finding {
        let Ok((dek, wrapped)) = &first.wrapped else {
            let nothing = WrappedDek::new(NOTHING.to_vec());
            return match self.provider.unwrap(&nothing, &self.uses.context).await {
                Err(error) if refuses_the_ciphertext(&error) => permitted(Operation::Unwrap),
                Err(error) => self.caller.refused(Operation::Unwrap, &error),
                Ok(_) => unfaithful(Operation::Unwrap),
            };
        };
        match self.provider.unwrap(wrapped, &self.uses.context).await {
            Ok(unwrapped) if unwrapped.expose() == dek.expose() => permitted(Operation::Unwrap),
            Ok(_) => unfaithful(Operation::Unwrap),
            Err(error) => self.caller.refused(Operation::Unwrap, &error),
        }
    }

    async fn direct(&self) -> Vec<Finding> {
        let limits = self.provider.limits();
        let (low, high) = (limits.min_plaintext, limits.max_plaintext);
        let (encrypted, ciphertext) = match self.provider.encrypt(PROBE).await {
            Ok(ciphertext) => {
                let limits = format!(
                    "payloads of {low} to {high} bytes; larger ones are sealed in an envelope"
                );
                let finding =
                    Finding::ok(Check::Permission, format!("encrypt: permitted, {limits}"));
                let finding = finding
                    .with("operation", Operation::Encrypt.as_str())
                    .with("min_plaintext", low)
                    .with("max_plaintext", high);
                (finding, ciphertext)
            }
            Err(error) if self.uses.encrypts => (
                self.caller.refused(Operation::Encrypt, &error),
                NOTHING.to_vec(),
            ),
            Err(_) => (
                Finding::skipped(
                    Check::Permission,
                    "encrypt: not permitted, and not needed: the key only decrypts here",
                ),
                NOTHING.to_vec(),
            ),
        };
        let decrypted = match self.provider.decrypt(&ciphertext).await {
            Ok(plaintext) if plaintext.as_slice() == PROBE => permitted(Operation::Decrypt),
            Ok(_) => unfaithful(Operation::Decrypt),
            Err(error) if ciphertext == NOTHING && refuses_the_ciphertext(&error) => {
                permitted(Operation::Decrypt)
            }
            Err(error) => self.caller.refused(Operation::Decrypt, &error),
        };
        vec![encrypted, decrypted]
    }

    /// A server that may not ask for the key's state tries to wrap instead.
    fn describe(first: &First) -> Finding {
        let finding = match &first.described {
            Ok(_) => Finding::ok(Check::Permission, "describe: permitted"),
            Err(_) => {
                Finding::skipped(Check::Permission, "describe: not permitted, and not needed")
            }
        };
        finding.with("operation", "describe")
    }
}

/// Whether the key may decrypt: only the ciphertext was refused.
fn refuses_the_ciphertext(error: &ProviderError) -> bool {
    matches!(
        error.kind(),
        Kind::InvalidCiphertext | Kind::ContextMismatch | Kind::KeyVersionGone
    )
}

/// Whether the key exists, as far as calls have shown it. `is_used` is whether any of them used it.
pub(super) fn found(service: &dyn Diagnose, first: &First, is_used: bool) -> Finding {
    match &first.described {
        Ok(found) => {
            let place = place(service, found.protection);
            Finding::ok(Check::Key, format!("found, {place}"))
                .with("primary_version", found.primary_version.clone())
                .with("protection", found.protection.as_str())
        }
        Err(_) if is_used => Finding::ok(Check::Key, "found: the service uses it"),
        Err(_) => unknown(),
    }
}

/// The service refuses the caller, whether the key exists or not.
pub(super) fn unknown() -> Finding {
    Finding::skipped(
        Check::Key,
        "not known: the service refuses every call, and does not tell whether the key exists",
    )
}

/// The words for where the key is, after "found, ".
pub(super) fn place(service: &dyn Diagnose, protection: Protection) -> &'static str {
    match protection {
        Protection::File => "in a file on this machine: for development only",
        Protection::Hsm => service.hsm(),
        _ => "in software",
    }
}
