use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Object;
use crate::error::{ApiError, Code};

/// An IAM policy. The emulator does not authenticate callers and does not enforce it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Policy {
    version: u8,
    bindings: Vec<Binding>,
    revision: u32,
}

/// A policy as a request holds it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPolicy {
    #[serde(default)]
    version: u8,
    #[serde(default)]
    bindings: Vec<Binding>,
    #[serde(default)]
    etag: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Binding {
    role: String,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    condition: Option<Value>,
}

impl Policy {
    /// The policy that replaces this one.
    pub(crate) fn replaced_by(&self, mut new: NewPolicy) -> Result<Self, ApiError> {
        if !new.etag.is_empty() && new.etag != self.current_etag() {
            return Err(ApiError::new(
                Code::Aborted,
                "There were concurrent policy changes. Please retry the whole read-modify-write.",
            ));
        }
        let conditional = self
            .bindings
            .iter()
            .any(|binding| binding.condition.is_some());
        if conditional && new.version < 3 {
            return Err(ApiError::invalid(
                "A policy with conditional bindings is set with version 3 only.",
            ));
        }
        for binding in &new.bindings {
            if !binding.role.starts_with("roles/") && !binding.role.contains("/roles/") {
                return Err(ApiError::invalid(format!(
                    "Role {} is not supported for this resource.",
                    binding.role
                )));
            }
            if let Some(member) = binding.members.iter().find(|member| !is_member(member)) {
                return Err(ApiError::invalid(format!(
                    "The member {member} is of an unknown type."
                )));
            }
        }
        new.bindings.retain(|binding| !binding.members.is_empty());
        Ok(Self {
            version: new.version,
            bindings: new.bindings,
            revision: self.revision + 1,
        })
    }

    pub(crate) fn encode(&self) -> Value {
        let mut policy = Object::new();
        if self.version > 0 {
            policy.insert("version".to_owned(), self.version.into());
        }
        if !self.bindings.is_empty() {
            policy.insert("bindings".to_owned(), json!(self.bindings));
        }
        policy.insert("etag".to_owned(), self.current_etag().into());
        policy.into()
    }

    fn current_etag(&self) -> String {
        STANDARD.encode([&b"\x42\x57"[..], &self.revision.to_be_bytes()].concat())
    }
}

fn is_member(member: &str) -> bool {
    let types = [
        "user:",
        "serviceAccount:",
        "group:",
        "domain:",
        "principal://",
        "principalSet://",
        "deleted:",
    ];
    ["allUsers", "allAuthenticatedUsers"].contains(&member)
        || types.iter().any(|kind| {
            member
                .strip_prefix(kind)
                .is_some_and(|rest| !rest.is_empty())
        })
}
