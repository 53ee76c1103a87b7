//! The signed statement of an anchor, which its line holds.

use std::time::SystemTime;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use temporal_kms::{ProviderError, PublicKey, Signature, SignatureAlgorithm, Signer};

use crate::{chain::Head, event::Event, line::Line};

/// How the signed statement begins.
const STATEMENT: &str = "temporal-kms-audit anchor v1";

/// The line of an anchor: the statement that `head` is the end of the log now, and its signature.
pub(super) async fn sign(signer: &dyn Signer, head: Head) -> Result<Event, ProviderError> {
    let now = humantime::format_rfc3339_micros(SystemTime::now());
    let statement = format!("{STATEMENT} {head} {now}");
    let signature = signer.sign(statement.as_bytes()).await?;
    Ok(Event::new("anchor")
        .text("statement", &statement)
        .text("key", &signature.key.to_string())
        .maybe("version", signature.version.as_deref())
        .text("algorithm", signature.algorithm.as_str())
        .text("signature", &STANDARD.encode(&signature.bytes)))
}

/// An anchor that was read.
pub(crate) struct Anchor<'l> {
    statement: &'l str,
    /// The line and its hash.
    pub(crate) head: Head,
    /// When it was signed.
    pub(crate) time: &'l str,
    signature: Option<Signature>,
}

impl<'l> Anchor<'l> {
    /// Reads the anchor in a line. `None` when its statement is not one.
    pub(crate) fn read(line: &'l Line) -> Option<Self> {
        let statement = line.text("statement")?;
        let rest = statement.strip_prefix(STATEMENT)?.strip_prefix(' ')?;
        let (head, time) = rest.split_once(' ')?;
        humantime::parse_rfc3339(time).ok()?;
        Some(Self {
            statement,
            head: head.parse().ok()?,
            time,
            signature: signature(line),
        })
    }

    /// Whether one of the keys signed it.
    pub(crate) fn is_signed_by(&self, keys: &[PublicKey]) -> bool {
        let Some(signature) = &self.signature else {
            return false;
        };
        let statement = self.statement.as_bytes();
        keys.iter().any(|key| key.verify(statement, signature))
    }
}

fn signature(line: &Line) -> Option<Signature> {
    let key = line.text("key")?.parse().ok()?;
    let algorithm: SignatureAlgorithm = line.text("algorithm")?.parse().ok()?;
    let bytes = STANDARD.decode(line.text("signature")?).ok()?;
    Some(Signature::new(key, algorithm, bytes))
}
