//! Which formats are opened.

use std::collections::BTreeSet;

use crate::{ConfigurationError, Format, PayloadError};

/// The formats that a codec opens.
///
/// A format that binds no context lets its writers' ciphertexts be moved between namespaces, and its data keys are
/// wrapped like direct payloads are encrypted. So only formats that are in use are opened.
#[derive(Debug)]
pub(crate) struct FormatPolicy {
    opened: BTreeSet<Format>,
}

impl FormatPolicy {
    /// Opens `opened`, or by default the written format and [`Format::Envelope`].
    ///
    /// `written` is `None` where nothing is written.
    pub(crate) fn new(
        written: Option<Format>,
        opened: Option<Vec<Format>>,
    ) -> Result<Self, ConfigurationError> {
        let Some(written) = written else {
            let opened = opened.unwrap_or_else(|| vec![Format::Envelope]);
            return Ok(Self {
                opened: opened.into_iter().collect(),
            });
        };
        let needed = [written, Format::Envelope];
        let Some(opened) = opened else {
            return Ok(Self {
                opened: needed.into(),
            });
        };
        let opened: BTreeSet<_> = opened.into_iter().collect();
        // Direct mode falls back to envelopes of version 2.
        let is_missing = |format: &&Format| {
            !opened.contains(format) && (**format == written || written == Format::Direct)
        };
        match needed.iter().find(is_missing) {
            Some(format) => Err(ConfigurationError::invalid(
                "decrypt_formats",
                format!("it must contain `{format}`, which this codec writes"),
            )),
            None => Ok(Self { opened }),
        }
    }

    pub(crate) fn opens(&self, format: Format) -> bool {
        self.opened.contains(&format)
    }

    pub(crate) fn check(&self, format: Format) -> Result<(), PayloadError> {
        if self.opens(format) {
            Ok(())
        } else {
            Err(PayloadError::FormatNotAllowed { format })
        }
    }

    /// An encrypted format that binds no context, if any is opened.
    pub(crate) fn unbound(&self) -> Option<Format> {
        let mut opened = self.opened.iter().copied();
        opened.find(|format| format.encrypts() && !format.binds_context())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_format_and_version_2_are_opened_by_default() {
        use Format::{Direct, Envelope, EnvelopeV1};
        for (written, opened) in [
            (Envelope, &[Envelope][..]),
            (EnvelopeV1, &[EnvelopeV1, Envelope]),
            (Direct, &[Direct, Envelope]),
        ] {
            let policy = FormatPolicy::new(Some(written), None).unwrap();
            for format in Format::ALL {
                assert_eq!(
                    policy.check(format).is_ok(),
                    opened.contains(&format),
                    "{written} {format}"
                );
            }
        }
    }

    #[test]
    fn what_is_written_must_be_opened() {
        use Format::{Direct, Envelope, EnvelopeV1};
        for (written, opened, missing) in [
            (Envelope, vec![], "`envelope`"),
            (EnvelopeV1, vec![Envelope], "`envelope-v1`"),
            (Direct, vec![Envelope], "`direct`"),
            (Direct, vec![Direct], "`envelope`"),
        ] {
            let error = FormatPolicy::new(Some(written), Some(opened)).unwrap_err();
            assert!(error.reason().contains(missing), "{error}");
        }
        assert!(FormatPolicy::new(Some(EnvelopeV1), Some(vec![EnvelopeV1])).is_ok());
        assert!(FormatPolicy::new(None, Some(vec![Direct])).is_ok());
    }
}
