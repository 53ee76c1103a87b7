//! Permissions on keys of Cloud KMS.

use google_cloud_iam_v1::model::{Binding, GetPolicyOptions, Policy};

use super::{
    client::Service,
    error::{CallKind, is_conflict},
};
use temporal_kms::{
    KeyGrant, KeyGrants, KeyRole, KeyUri, ProviderError, ProviderErrorKind as Kind,
};

/// How often a policy is read again because another caller changed it at the same time.
const ATTEMPTS: usize = 5;
/// The policy version that has conditions. Writing an older version would lose them.
const POLICY_VERSION: i32 = 3;
const VIEWER: &str = "roles/cloudkms.viewer";

/// Where permissions are that no key's own policy shows.
const NOT_LISTED: &str = "roles that are granted on the key ring, the project, a folder or the organization apply to the key too";

/// Roles that permit what a role here does, and more.
const WIDER: [(&str, &[KeyRole]); 3] = [
    (
        "roles/cloudkms.cryptoKeyEncrypterDecrypter",
        &[KeyRole::Encrypter, KeyRole::Decrypter],
    ),
    (
        "roles/cloudkms.cryptoOperator",
        &[
            KeyRole::Encrypter,
            KeyRole::Decrypter,
            KeyRole::Signer,
            KeyRole::Verifier,
        ],
    ),
    (
        "roles/cloudkms.signerVerifier",
        &[KeyRole::Signer, KeyRole::Verifier],
    ),
];

/// Gives `member` the roles of Cloud KMS that `role` needs on the key. Returns whether one was missing.
pub(super) async fn grant(
    service: &Service,
    uri: &KeyUri,
    member: &str,
    role: KeyRole,
) -> Result<bool, ProviderError> {
    let roles = roles(role).ok_or_else(|| no_role(uri))?;
    edit(service, uri, |policy| {
        // Each of them is added, also after the first change.
        let added = roles.iter().map(|role| add(policy, role, member));
        Ok(added.fold(false, |changed, added| changed | added))
    })
    .await
}

/// Takes `member` out of a role on the key. Returns whether it was there.
pub(super) async fn revoke(
    service: &Service,
    uri: &KeyUri,
    member: &str,
    role: KeyRole,
) -> Result<bool, ProviderError> {
    let [own, ..] = roles(role).ok_or_else(|| no_role(uri))? else {
        return Err(no_role(uri));
    };
    edit(service, uri, |policy| {
        if let Some(wider) = wider(policy, member, role) {
            return Err(ProviderError::new(Kind::Misconfigured, uri)
                .with_detail(format!(
                    "nothing was changed: {member} also has {wider} on the key, which permits more than this"
                ))
                .with_remedy("remove that role with gcloud kms keys remove-iam-policy-binding"));
        }
        let mut changed = remove(policy, own, member);
        // A signer and a verifier have this role for the key's versions. The other one may still need it.
        let others = [KeyRole::Signer, KeyRole::Verifier];
        let needs_it = |role: &KeyRole| {
            roles(*role).is_some_and(|roles| roles.first().is_some_and(|own| has(policy, own, member)))
        };
        if others.contains(&role) && !others.iter().any(needs_it) {
            changed |= remove(policy, VIEWER, member);
        }
        Ok(changed)
    })
    .await
}

/// Who has which role on the key itself.
pub(super) async fn grants(service: &Service, uri: &KeyUri) -> Result<KeyGrants, ProviderError> {
    let policy = read(service, uri).await?;
    let mut grants = Vec::new();
    for binding in policy.bindings {
        let role = role_of(&binding.role);
        let condition = binding.condition.map(|condition| condition.expression);
        for member in binding.members {
            grants.push(
                KeyGrant::new(member, &binding.role, "IAM policy")
                    .with_role(role)
                    .with_condition(condition.clone()),
            );
        }
    }
    Ok(KeyGrants::new(grants, NOT_LISTED))
}

async fn read(service: &Service, uri: &KeyUri) -> Result<Policy, ProviderError> {
    let options = GetPolicyOptions::new().set_requested_policy_version(POLICY_VERSION);
    service
        .call(uri, CallKind::Administer, |client| {
            client
                .get_iam_policy()
                .set_resource(uri.resource())
                .set_options(options)
                .send()
        })
        .await
}

/// Changes the key's policy. Returns whether `change` changed it.
async fn edit(
    service: &Service,
    uri: &KeyUri,
    change: impl Fn(&mut Policy) -> Result<bool, ProviderError> + Send + Sync,
) -> Result<bool, ProviderError> {
    let mut attempt = 1;
    loop {
        let mut policy = read(service, uri).await?;
        if !change(&mut policy)? {
            return Ok(false);
        }
        // With the etag of the policy that was read, the service refuses to overwrite another change.
        let written = service
            .call(uri, CallKind::Administer, |client| {
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

pub(super) fn no_role(uri: &KeyUri) -> ProviderError {
    ProviderError::new(Kind::Unsupported, uri)
        .with_detail("Cloud KMS has no such role")
        .with_remedy("choose another role")
}

/// The roles of Cloud KMS. A signer and a verifier first look for the newest version. Their own roles do not permit
/// that.
pub(super) fn roles(role: KeyRole) -> Option<&'static [&'static str]> {
    Some(match role {
        KeyRole::Encrypter => &["roles/cloudkms.cryptoKeyEncrypter"],
        KeyRole::Decrypter => &["roles/cloudkms.cryptoKeyDecrypter"],
        KeyRole::Signer => &["roles/cloudkms.signer", VIEWER],
        KeyRole::Verifier => &["roles/cloudkms.publicKeyViewer", VIEWER],
        _ => return None,
    })
}

/// The role here whose own role at Cloud KMS this is.
fn role_of(name: &str) -> Option<KeyRole> {
    let all = [
        KeyRole::Encrypter,
        KeyRole::Decrypter,
        KeyRole::Signer,
        KeyRole::Verifier,
    ];
    let is_own = |role: &KeyRole| roles(*role).and_then(<[_]>::first) == Some(&name);
    all.into_iter().find(is_own)
}

/// A role of `member` on the key that permits more than `role`.
fn wider(policy: &Policy, member: &str, role: KeyRole) -> Option<&'static str> {
    let mut wider = WIDER
        .into_iter()
        .filter(|(_, permits)| permits.contains(&role));
    wider.find_map(|(name, _)| has(policy, name, member).then_some(name))
}

fn has(policy: &Policy, role: &str, member: &str) -> bool {
    let mut bindings = policy.bindings.iter();
    bindings.any(|binding| binding.role == role && binding.members.iter().any(|one| one == member))
}

/// Takes a member out of a role, with and without conditions.
fn remove(policy: &mut Policy, role: &str, member: &str) -> bool {
    let mut changed = false;
    for binding in policy
        .bindings
        .iter_mut()
        .filter(|binding| binding.role == role)
    {
        let before = binding.members.len();
        binding.members.retain(|known| known != member);
        changed |= binding.members.len() < before;
    }
    policy
        .bindings
        .retain(|binding| !binding.members.is_empty());
    changed
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

    #[test]
    fn a_member_leaves_its_role_with_and_without_conditions() {
        let role = "roles/cloudkms.cryptoKeyDecrypter";
        let members = ["user:a@example.com", "user:b@example.com"];
        let binding = Binding::new().set_role(role).set_members(members);
        let alone = Binding::new()
            .set_role(role)
            .set_members(["user:a@example.com"]);
        let mut policy = Policy::new().set_bindings([binding, alone]);
        assert!(has(&policy, role, "user:a@example.com"));
        assert!(remove(&mut policy, role, "user:a@example.com"));
        assert!(!remove(&mut policy, role, "user:a@example.com"));
        assert_eq!(policy.bindings.len(), 1, "none is left empty");
        assert_eq!(policy.bindings[0].members, ["user:b@example.com"]);
    }
}
