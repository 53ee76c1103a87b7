//! The codec of a namespace: whether payloads come back, whether altered ones do not, and how many calls that takes.

use std::{collections::BTreeMap, sync::Arc};

use temporal_kms_codec::{Codec, Error, KeyUri, Namespace, Payload, Stats, kms::KeyProvider};

use super::{
    super::exit::Status,
    advice,
    finding::{Check, Finding, Findings},
    subject::Subject,
};
use temporal_kms_codec_service::namespaces::Keys;

use crate::config::NamespaceConfig;

/// Not a secret.
const TEXT: &[u8] = b"\"codec-server doctor was here\"";

pub(super) struct Codecs<'c> {
    pub(super) opened: BTreeMap<KeyUri, Arc<dyn KeyProvider>>,
    /// Why the others cannot be used.
    pub(super) unusable: &'c BTreeMap<KeyUri, String>,
    pub(super) samples: u16,
}

impl Codecs<'_> {
    pub(super) async fn examine(
        &mut self,
        namespace: &Namespace,
        config: &NamespaceConfig,
        subject: &Subject,
        findings: &mut Findings,
    ) {
        let key = subject.told_apart_by(config);
        let mut say = |finding: Finding| {
            let finding = finding.of_namespace(namespace);
            findings.push(match key {
                Some(key) => finding.of_key(key),
                None => finding,
            });
        };
        if config.encrypt.is_empty() {
            let reason = "not checked: the namespace decodes only, and has no key to encrypt with";
            say(Finding::skipped(Check::RoundTrip, reason.to_owned()));
            say(Finding::skipped(Check::Cache, reason.to_owned()));
            return;
        }
        if let Some(key) = config
            .encrypt
            .iter()
            .find(|key| self.unusable.contains_key(key))
        {
            let reason = format!("not checked: {key} cannot be used");
            say(Finding::skipped(Check::RoundTrip, reason.clone()));
            say(Finding::skipped(Check::Cache, reason));
            return;
        }
        let mut config = config.clone();
        config.decrypt.retain(|key| self.opened.contains_key(key));
        let keys = match Keys::open(&config, &subject.kms, &mut self.opened).await {
            Ok(keys) => keys,
            Err(error) => return say(failed(&error)),
        };
        match self.round_trip(&keys, &config, namespace).await {
            Ok(finding) => say(finding),
            Err(error) => {
                say(failed(&error));
                let reason = "not checked: payloads do not come back";
                return say(Finding::skipped(Check::Cache, reason));
            }
        }
        let cached = self.cache(&keys, &config, namespace).await;
        say(cached.unwrap_or_else(|error| {
            Finding::warning(
                Check::Cache,
                format!("a payload did not come back: {error}"),
                "try again",
            )
        }));
    }

    async fn round_trip(
        &self,
        keys: &Keys,
        config: &NamespaceConfig,
        namespace: &Namespace,
    ) -> Result<Finding, Error> {
        let (writer, reader) = pair(keys, config, namespace)?;
        let sealed = writer.encode(vec![payload()]).await?;
        let opened = reader.decode(sealed.clone()).await?;
        if opened != [payload()] {
            return Ok(Finding::failed(
                Check::RoundTrip,
                Status::Data,
                "a decoded payload differs from the original",
                "do not use this codec: report it to the maintainers",
            ));
        }
        let mut altered = sealed;
        for byte in altered
            .iter_mut()
            .filter_map(|payload| payload.data.last_mut())
        {
            *byte ^= 1;
        }
        Ok(match reader.decode(altered).await {
            Ok(_) => Finding::failed(
                Check::RoundTrip,
                Status::Data,
                "an altered payload was decrypted",
                "do not use this codec: report it to the maintainers",
            ),
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => Finding::ok(
                Check::RoundTrip,
                format!(
                    "a payload comes back ({}); altered in one byte it is refused",
                    config.format
                ),
            ),
        })
    }

    /// Payloads one after the other, as they come in real life.
    async fn cache(
        &self,
        keys: &Keys,
        config: &NamespaceConfig,
        namespace: &Namespace,
    ) -> Result<Finding, Error> {
        let (writer, reader) = pair(keys, config, namespace)?;
        for _ in 0..self.samples {
            let sealed = writer.encode(vec![payload()]).await?;
            reader.decode(sealed).await?;
        }
        let made = calls(&writer.stats()) + calls(&reader.stats());
        let payloads = u64::from(self.samples);
        let recipients = u64::try_from(config.encrypt.len()).unwrap_or(u64::MAX);
        let without = payloads.saturating_mul(recipients.saturating_add(1));
        let saved = without.saturating_sub(made);
        Ok(Finding::ok(
            Check::Cache,
            format!(
                "{payloads} payloads encrypted and decrypted took {made} KMS calls; without the cache {without}: {saved} saved"
            ),
        )
        .with("payloads", payloads)
        .with("calls", made)
        .with("calls_without_cache", without)
        .with("calls_saved", saved))
    }
}

/// Two codecs with caches of their own, as a writer and a reader are two processes.
fn pair(
    keys: &Keys,
    config: &NamespaceConfig,
    namespace: &Namespace,
) -> Result<(Codec, Codec), Error> {
    let made = || keys.codec(config, namespace, None);
    Ok((made()?, made()?))
}

fn calls(stats: &Stats) -> u64 {
    stats.wraps + stats.verifications + stats.unwraps + stats.direct_calls
}

fn payload() -> Payload {
    let encoding = ("encoding".to_owned(), b"json/plain".to_vec());
    Payload {
        metadata: [encoding].into_iter().collect(),
        data: TEXT.to_vec(),
        ..Payload::default()
    }
}

fn failed(error: &Error) -> Finding {
    let (exit, remedy) = match error {
        Error::Provider(error) => (
            advice::exit(error),
            "follow the advice for that key, and try again",
        ),
        Error::Configuration(_) => (Status::Configuration, "correct the namespace's settings"),
        _ => (
            Status::Data,
            "report it to the maintainers with the settings of this namespace",
        ),
    };
    Finding::failed(Check::RoundTrip, exit, error.to_string(), remedy)
}
