//! Permissions on keys of Cloud KMS.

use google_cloud_iam_v1::model::{Binding, GetPolicyOptions, Policy};

use super::{
    client::Service,
    error::{Asked, is_conflict},
};
use temporal_kms::{KeyRole, KeyUri, ProviderError, ProviderErrorKind as Kind};

/// How often a policy is read again because another caller changed it at the same time.
const ATTEMPTS: usize = 5;
/// The policy version that has conditions. Writing an older version would lose them.
const POLICY_VERSION: i32 = 3;

/// Gives `member` the roles of Cloud KMS that `role` needs on the key. Returns whether one was missing.
pub(super) async fn grant(
    service: &Service,
    uri: &KeyUri,
    member: &str,
    role: KeyRole,
) -> Result<bool, ProviderError> {
    let roles = roles(role).ok_or_else(|| {
        ProviderError::new(Kind::Unsupported, uri)
            .with_detail("Cloud KMS has no role for it; choose another role")
    })?;
    let mut attempt = 1;
    loop {
        let options = GetPolicyOptions::new().set_requested_policy_version(POLICY_VERSION);
        let mut policy = service
            .call(uri, Asked::Administer, |client| {
                client
                    .get_iam_policy()
                    .set_resource(uri.resource())
                    .set_options(options)
                    .send()
            })
            .await?;
        let mut changed = false;
        for role in roles {
            changed |= add(&mut policy, role, member);
        }
        if !changed {
            return Ok(false);
        }
        // With the etag of the policy that was read, the service refuses to overwrite another change.
        let written = service
            .call(uri, Asked::Administer, |client| {
                client
                    .set_iam_policy()
                    .set_resource(uri.resource())
                    .set_policy(policy)
                    .send()
            })
            .await;
        match written {
            Ok(_) => return Ok(true),
            Err(error) if is_conflict(&error) && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The roles of Cloud KMS. A signer and a verifier first look for the newest version. Their own roles do not permit
/// that.
fn roles(role: KeyRole) -> Option<&'static [&'static str]> {
    Some(match role {
        KeyRole::Encrypter => &["roles/cloudkms.cryptoKeyEncrypter"],
        KeyRole::Decrypter => &["roles/cloudkms.cryptoKeyDecrypter"],
        KeyRole::Signer => &["roles/cloudkms.signer", "roles/cloudkms.viewer"],
        KeyRole::Verifier => &["roles/cloudkms.publicKeyViewer", "roles/cloudkms.viewer"],
        _ => return None,
    })
}

/// A binding with a condition grants less than was requested, so it does not count.
fn add(policy: &mut Policy, role: &str, member: &str) -> bool {
    let binding = policy
        .bindings
        .iter_mut()
        .find(|binding| binding.role == role && binding.condition.is_none());
    match binding {
        Some(binding) if binding.members.iter().any(|known| known == member) => return false,
        Some(binding) => binding.members.push(member.to_owned()),
        None => policy
            .bindings
            .push(Binding::new().set_role(role).set_members([member])),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_once_and_beside_what_is_there() {
        let role = "roles/cloudkms.cryptoKeyEncrypter";
        let mut policy = Policy::new().set_bindings([Binding::new()
            .set_role("roles/owner")
            .set_members(["user:a@example.com"])]);
        assert!(add(&mut policy, role, "user:b@example.com"));
        assert!(add(&mut policy, role, "user:c@example.com"));
        assert!(!add(&mut policy, role, "user:b@example.com"));
        assert_eq!(policy.bindings.len(), 2);
        assert_eq!(
            policy.bindings[1].members,
            ["user:b@example.com", "user:c@example.com"]
        );
    }
}
