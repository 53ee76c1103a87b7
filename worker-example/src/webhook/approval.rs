//! The approval of a webhook: the proof that a worker has checked the request which names the receiver.
//!
//! Each caller with the right to encrypt can start the workflow that delivers webhooks. Without a proof, they could choose the body
//! and the receiver of a webhook that a worker signs. The key of the proof is derived from the secret that signs webhooks, so
//! only workers can make one.

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};

use super::signature::{CallbackSecret, CallbackSecrets};

/// A webhook's signature begins with a number, so no signed webhook is this text.
const LABEL: &[u8] = b"claude-tasks: approval of a webhook, version 1";

/// What is approved: the webhook of a task, to this receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Approved<'a> {
    /// The namespace of the task.
    pub(crate) namespace: &'a str,
    /// The task.
    pub(crate) task: &'a str,
    /// The receiver.
    pub(crate) url: &'a str,
}

impl CallbackSecrets {
    /// Approves a webhook. The caller has checked the task's request.
    pub(crate) fn approve(&self, approved: Approved<'_>) -> String {
        let tag = hmac::sign(&key(self.current()), &approved.to_bytes());
        hex::encode(tag)
    }

    /// Whether a worker with one of these secrets has approved the webhook.
    pub(crate) fn has_approved(&self, approved: Approved<'_>, approval: &str) -> bool {
        let Ok(tag) = hex::decode(approval) else {
            return false;
        };
        let bytes = approved.to_bytes();
        self.in_order()
            .any(|secret| hmac::verify(&key(secret), &bytes, &tag).is_ok())
    }
}

impl Approved<'_> {
    /// Each part with its length, so that no two webhooks have the same bytes.
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [self.namespace, self.task, self.url] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

fn key(secret: &CallbackSecret) -> Key {
    Key::new(HMAC_SHA256, hmac::sign(secret.key(), LABEL).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_approved_webhook_has_an_approval() {
        let approved = |namespace, task, url| Approved {
            namespace,
            task,
            url,
        };
        let good = approved("n", "t", "https://a");
        let old = CallbackSecrets::new("old", None);
        let rotated = CallbackSecrets::new("new", Some("old"));
        let approval = old.approve(good);
        for secrets in [&old, &rotated] {
            assert!(secrets.has_approved(good, &approval));
            for other in [
                approved("m", "t", "https://a"),
                approved("n", "u", "https://a"),
                approved("n", "t", "https://b"),
                approved("nt", "", "https://a"),
            ] {
                assert!(!secrets.has_approved(other, &approval), "{other:?}");
            }
            for wrong in ["", "zz", &approval[..62]] {
                assert!(!secrets.has_approved(good, wrong), "{wrong}");
            }
        }
        assert!(!CallbackSecrets::new("new", None).has_approved(good, &approval));
    }
}
