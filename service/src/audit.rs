//! `[audit]`: the audit log of a server, and its lines of requests.

mod refusals;
mod requests;

use std::{cell::RefCell, sync::Arc, time::Duration};

use temporal_kms_codec::{
    KeyUri,
    audit::{
        Anchoring, AuditError, AuditLog, AuditOptions, OnFailure, Sync, SyslogAddress, Target,
    },
    kms::{Kms, ProviderError},
};

use crate::settings::{Document, Section, values};

pub use requests::{Ending, NotAudited, RequestLog, result_of, written};

const SECTION: &str = "audit";
/// A smaller file would hold a handful of lines.
const LEAST_FILE: usize = 64 << 10;

/// How a server writes its audit log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuditConfig {
    /// `folder`, `stdout` or `syslog`, and how lines are written.
    pub options: AuditOptions,
    /// `anchor_key`: the key that signs anchors.
    pub anchor_key: Option<KeyUri>,
    /// `anchor_lines`: after how many lines. Default: 1,000.
    pub anchor_lines: u64,
    /// `anchor_every`: after how long. Default: 5 minutes.
    pub anchor_every: Duration,
}

/// Why an audit log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenAuditError {
    /// The log itself.
    #[error("audit: {0}")]
    Log(#[from] AuditError),
    /// The key that signs anchors.
    #[error("audit.anchor_key: {0}")]
    Key(#[from] ProviderError),
}

impl AuditConfig {
    /// A log to `target`, with defaults for everything else.
    #[must_use]
    pub fn to(target: Target) -> Self {
        let anchoring = Anchoring::with(None);
        Self {
            options: AuditOptions::to(target),
            anchor_key: None,
            anchor_lines: anchoring.lines,
            anchor_every: anchoring.every,
        }
    }

    /// Opens the log for `program`, such as `codec-server 0.1.0`, and anchors it from now on.
    ///
    /// # Errors
    /// When the log cannot be written, or the key that signs cannot be opened.
    pub async fn open(&self, kms: &Kms, program: &str) -> Result<Arc<AuditLog>, OpenAuditError> {
        // Without the observer: an anchor is a line already, and a line about its signature would need an anchor again.
        let mut kms = kms.clone();
        kms.set_observer(None);
        let signer = match &self.anchor_key {
            Some(key) => Some(kms.signer(key).await?),
            None => None,
        };
        let log = AuditLog::open(&self.options.clone().with_program(program))?;
        log.anchor(Anchoring::with(signer).after(self.anchor_lines, self.anchor_every));
        Ok(log)
    }
}

/// Reads the section. `None` when there is no audit log. What the URI of `anchor_key` says beyond the key's name is kept in
/// `kms`.
#[must_use]
pub fn read(document: &Document<'_>, kms: &mut Kms) -> Option<AuditConfig> {
    let mut section = document.section(SECTION);
    let target = target(&mut section);
    let mut config = AuditConfig::to(target.clone().unwrap_or(Target::Stdout));
    let options = &mut config.options;
    let on_failure = section.value("on_failure", values::any::<OnFailure>);
    let mut is_set = on_failure.is_some();
    options.on_failure = on_failure.unwrap_or_default();
    is_set |= set(
        &mut options.sync,
        section.value("sync", values::any::<Sync>),
    );
    is_set |= set(&mut options.max_file, section.value("max_file", file_size));
    let age = section.value("max_file_age", values::timeout);
    is_set |= set(&mut options.max_file_age, age);
    is_set |= set(
        &mut options.file_mode,
        section.value("file_mode", file_mode),
    );
    let kms = RefCell::new(kms);
    config.anchor_key = section.text("anchor_key", |text| {
        let key = kms.borrow_mut().read_key(text);
        key.map_err(|error| error.reason().to_owned())
    });
    is_set |= config.anchor_key.is_some();
    let count = |text: &str| values::count(text).map(|count| count as u64);
    is_set |= set(
        &mut config.anchor_lines,
        section.value("anchor_lines", count),
    );
    let every = section.value("anchor_every", values::timeout);
    is_set |= set(&mut config.anchor_every, every);
    if target.is_none() && is_set {
        section.report("nothing says where the audit log goes; add `folder`, `stdout` or `syslog`");
    }
    section.finish();
    target.map(|_| config)
}

/// Replaces `target` where the setting is there, and says whether it is.
fn set<T>(target: &mut T, value: Option<T>) -> bool {
    match value {
        Some(value) => *target = value,
        None => return false,
    }
    true
}

fn target(section: &mut Section<'_>) -> Option<Target> {
    let folder = section.text("folder", values::absolute_path);
    let stdout = section.value("stdout", values::flag);
    let syslog = section.text("syslog", values::any::<SyslogAddress>);
    let mut targets = folder
        .map(Target::Folder)
        .into_iter()
        .chain(stdout.filter(|wanted| *wanted).map(|_| Target::Stdout))
        .chain(syslog.map(Target::Syslog));
    let target = targets.next();
    if targets.next().is_some() {
        section
            .report("an audit log goes to one place; keep one of `folder`, `stdout` and `syslog`");
    }
    target
}

fn file_size(text: &str) -> Result<u64, String> {
    match values::bytes(text)? {
        bytes if bytes < LEAST_FILE => Err("it must be at least 64KiB".to_owned()),
        bytes => Ok(bytes as u64),
    }
}

fn file_mode(text: &str) -> Result<u32, String> {
    match text {
        "0600" => Ok(0o600),
        "0640" => Ok(0o640),
        _ => Err("expected \"0600\", or \"0640\" for a group that may read the log".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use temporal_kms_codec::kms::ProviderErrorKind;

    use super::*;
    use crate::settings::{Problem, Settings};

    fn parsed(text: &str) -> Result<Option<AuditConfig>, Vec<Problem>> {
        let settings = Settings::new("CODEC_");
        settings.parse(Some(text), &|_| None, |document| {
            read(document, &mut Kms::default())
        })
    }

    #[test]
    fn a_section_says_where_and_how() {
        let config = parsed(
            "[audit]\nfolder = \"/var/log/audit\"\non_failure = \"continue\"\nsync = \"fsync\"\nmax_file = \"1MiB\"\n\
             file_mode = \"0640\"\nanchor_key = \"local://audit\"\nanchor_lines = 50\nanchor_every = \"1m\"\n",
        );
        let config = config.unwrap().unwrap();
        assert_eq!(
            config.options.target,
            Target::Folder("/var/log/audit".into())
        );
        assert_eq!(config.options.on_failure, OnFailure::Continue);
        assert_eq!(
            (config.options.sync, config.options.file_mode),
            (Sync::Fsync, 0o640)
        );
        assert_eq!(config.anchor_key.unwrap().to_string(), "local://audit");
        assert_eq!(config.anchor_lines, 50);
        let config = parsed("[audit]\nsyslog = \"/dev/log\"\n").unwrap().unwrap();
        assert_eq!(config.options.on_failure, OnFailure::Refuse);
        assert!(parsed("").unwrap().is_none());
        assert!(parsed("[audit]\nstdout = false\n").unwrap().is_none());
    }

    #[test]
    fn every_error_names_its_setting_and_what_to_do() {
        // A new variant does not compile until it is here.
        let names = |error: &OpenAuditError| match error {
            OpenAuditError::Log(_) => ["audit: ", "/var/audit", "create it"],
            OpenAuditError::Key(_) => ["audit.anchor_key: ", "local://audit", "create it"],
        };
        let key = "local://audit".parse().unwrap();
        for error in [
            OpenAuditError::from(AuditError::NoFolder("/var/audit".into())),
            ProviderError::new(ProviderErrorKind::KeyNotFound, &key).into(),
        ] {
            let text = error.to_string();
            for name in names(&error) {
                assert!(text.contains(name), "`{text}` does not name {name}");
            }
        }
    }

    #[test]
    fn every_mistake_is_reported() {
        for (text, words) in [
            ("folder = \"audit\"", "absolute path"),
            ("folder = \"/a\"\nstdout = true", "goes to one place"),
            ("on_failure = \"refuse\"", "add `folder`"),
            ("anchor_key = \"local://audit\"", "add `folder`"),
            ("sync = \"fsync\"", "add `folder`"),
            ("max_file = \"1MiB\"", "add `folder`"),
            ("max_file_age = \"1h\"", "add `folder`"),
            ("file_mode = \"0640\"", "add `folder`"),
            ("anchor_lines = 5", "add `folder`"),
            ("anchor_every = \"1m\"", "add `folder`"),
            ("stdout = false\nsync = \"fsync\"", "add `folder`"),
            ("stdout = true\nanchor_key = \"nonsense\"", "local://"),
            (
                "stdout = true\non_failure = \"ignore\"",
                "refuse or continue",
            ),
            ("stdout = true\nfile_mode = \"0666\"", "0640"),
            ("stdout = true\nmax_file = \"1KiB\"", "64KiB"),
            ("syslog = \"localhost\"", "/dev/log"),
            ("stdout = true\nfile = 3", "no such setting"),
        ] {
            let problems = parsed(&format!("[audit]\n{text}\n")).unwrap_err();
            assert!(problems[0].message.contains(words), "{text}: {problems:?}");
        }
    }
}
