//! One key that signs, from its credentials to a signature that verifies. What fails early spares what comes later.

use indicatif::ProgressBar;
use temporal_kms_codec::kms::{
    Diagnose, Operation, Protection, ProviderError, ProviderErrorKind as Kind, PublicKey,
    Signature, Signer,
};

use super::{
    super::exit::Status,
    access, advice,
    approach::{Approach, LATER},
    finding::{Check, Finding, Findings, Outcome},
    latency, neighbours,
    permission::{Caller, permitted},
};

/// What is signed. No statement of this project begins like this, so the signature proves nothing.
const TRIAL: &[u8] = b"codec-server doctor tries this signing key";
/// What is not signed.
const OTHER: &[u8] = b"codec-server doctor has not signed this";

pub(super) struct SigningExam<'e> {
    pub(super) approach: Approach<'e>,
    /// The number of timed calls.
    pub(super) samples: u16,
}

/// The calls that tell whether the key can be used at all.
struct First {
    signed: Result<Signature, ProviderError>,
    /// The public key of the version that signed, or of the newest one.
    published: Result<PublicKey, ProviderError>,
}

impl SigningExam<'_> {
    /// Whether the key signs.
    pub(super) async fn run(&self, progress: &ProgressBar, findings: &mut Findings) -> bool {
        let approach = &self.approach;
        let Ok(diagnosis) = approach.diagnose(findings).await else {
            return false;
        };
        let signer = match approach.kms.signer(approach.key).await {
            Ok(signer) => signer,
            Err(error) => {
                approach.trouble(&error, diagnosis, findings).await;
                return false;
            }
        };
        let first = First::try_on(&*signer).await;
        if let Some(error) = first.obstacle() {
            approach.trouble(error, diagnosis, findings).await;
            return false;
        }
        let (service, credentials) = approach.arrived(diagnosis, findings);

        let examined = approach.versions(service, None).await;
        let hint = neighbours::other_place_hint(approach.key, service, &credentials);
        let hint = hint.filter(|_| first.signed.is_err() && first.published.is_err());
        let key = hint.unwrap_or_else(|| first.key(service, examined.protection));
        approach.say(findings, key);
        for finding in examined.findings {
            approach.say(findings, finding);
        }

        let caller = Caller {
            key: approach.key,
            service,
            credentials: &credentials,
        };
        let mut refused = false;
        for finding in first.permissions(&caller) {
            refused |= finding.outcome == Outcome::Failed;
            approach.say(findings, finding);
        }
        if refused {
            findings.skip(&[Check::Latency, Check::RoundTrip], approach.key, LATER);
            return first.signed.is_ok();
        }
        self.measure(&*signer, progress, findings).await;
        let round_trip = first.round_trip();
        let verifies = !round_trip.is_failure();
        approach.say(findings, round_trip);
        verifies
    }

    /// Verifying is not timed: it needs no call once the public key is known.
    async fn measure(&self, signer: &dyn Signer, progress: &ProgressBar, findings: &mut Findings) {
        progress.reset();
        progress.set_length(u64::from(self.samples));
        let sign = move || signer.sign(TRIAL);
        let signs = latency::of_calls(self.samples, progress, sign).await;
        self.approach.say(findings, signs.finding("sign"));
        progress.unset_length();
    }
}

impl First {
    async fn try_on(key: &dyn Signer) -> Self {
        let signed = key.sign(TRIAL).await;
        let version = signed
            .as_ref()
            .ok()
            .and_then(|signature| signature.version.as_deref());
        let published = key.public_key(version).await;
        Self { signed, published }
    }

    /// The error that prevents everything else. A refused permission only prevents its own operation.
    fn obstacle(&self) -> Option<&ProviderError> {
        let error = self.signed.as_ref().err()?;
        (advice::check(error) != Check::Permission).then_some(error)
    }

    /// Whether the key exists, and how it signs, as far as calls have shown it.
    fn key(&self, service: &dyn Diagnose, protection: Option<Protection>) -> Finding {
        let (algorithm, version) = match (&self.signed, &self.published) {
            (Ok(signature), _) => (signature.algorithm, signature.version.clone()),
            (Err(_), Ok(public)) => (public.algorithm(), None),
            (Err(_), Err(_)) => return access::unknown(),
        };
        let place = protection.map_or("the service uses it", |protection| {
            access::place(service, protection)
        });
        let signs = match &version {
            Some(version) => format!("version {version} signs with {algorithm}"),
            None => format!("it signs with {algorithm}"),
        };
        let finding = Finding::ok(Check::Key, format!("found, {place}; {signs}"))
            .with("algorithm", algorithm.as_str())
            .with("version", version);
        match protection {
            Some(protection) => finding.with("protection", protection.as_str()),
            None => finding,
        }
    }

    fn permissions(&self, caller: &Caller<'_>) -> [Finding; 2] {
        let sign = match &self.signed {
            Ok(_) => permitted(Operation::Sign),
            Err(error) => caller.refused(Operation::Sign, error),
        };
        let published = match &self.published {
            Ok(_) => permitted(Operation::PublicKey),
            Err(error) if error.kind() == Kind::PermissionDenied => Finding::warning(
                Check::Permission,
                format!(
                    "read the public key: {}; signing does not need it, but this caller cannot verify",
                    error.summary()
                ),
                caller.remedy(Operation::PublicKey, error),
            )
            .with("operation", Operation::PublicKey.as_str())
            .with("error", error.kind().as_str()),
            Err(error) => caller.refused(Operation::PublicKey, error),
        };
        [sign, published]
    }

    /// Whether the published public key fits the key that signs.
    fn round_trip(&self) -> Finding {
        let (Ok(signature), Ok(public)) = (&self.signed, &self.published) else {
            return Finding::skipped(
                Check::RoundTrip,
                "the test signature was not verified: the public key cannot be read",
            );
        };
        if public.verify(TRIAL, signature) && !public.verify(OTHER, signature) {
            return Finding::ok(
                Check::RoundTrip,
                "a test signature verifies with the published public key, and is refused for other data",
            );
        }
        Finding::failed(
            Check::RoundTrip,
            Status::Data,
            "a test signature does not verify with the published public key",
            "do not use this key: report it to the operator of the service",
        )
    }
}

#[cfg(test)]
mod tests {
    use temporal_kms_codec::kms::{SignatureAlgorithm, local::LocalKeyring};

    use super::*;

    #[tokio::test]
    async fn a_public_key_of_another_key_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = LocalKeyring::open(folder.path());
        let key = |name: &str| {
            keyring
                .signing_key_or_create(name, SignatureAlgorithm::EcdsaP256Sha256)
                .unwrap()
        };
        let (one, other) = (key("one"), key("other"));
        let first = First::try_on(&*one).await;
        assert_eq!(first.round_trip().outcome, Outcome::Ok);
        let mixed = First {
            published: other.public_key(None).await,
            ..first
        };
        assert!(mixed.round_trip().is_failure());
    }
}
