//! Grants: who may use a key, and under which encryption context.

pub(crate) use aws_sdk_kms::types::GrantOperation as Operation;
use aws_sdk_kms::types::{GrantConstraints, GrantListEntry, KeyMetadata};

use super::{MAX_PAGES, details::endless};
use crate::{
    client::{RegionalKey, pairs},
    metadata, misconfigured, unsupported,
};
use temporal_kms::{EncryptionContext, KeyPurpose, KeyRole, KeyUri, ProviderError};

/// A permission that a member should have.
pub(super) struct Wanted<'a> {
    /// The ARN of a user or role.
    pub(super) member: &'a str,
    pub(super) role: KeyRole,
    /// The pairs that a call's encryption context must hold. Without pairs, any context is permitted.
    pub(super) context: &'a EncryptionContext,
}

/// Creates the grant, unless the permission exists already. Returns whether this changed anything.
pub(super) async fn grant(
    key: &RegionalKey,
    metadata: &KeyMetadata,
    wanted: &Wanted<'_>,
) -> Result<bool, ProviderError> {
    let misconfigured = |detail, remedy| Err(misconfigured(&key.uri, detail, remedy));
    if !is_principal(wanted.member) {
        return misconfigured(
            "the member is not the ARN of a user or role",
            "write one such as arn:aws:iam::111122223333:role/worker",
        );
    }
    let purpose = metadata::purpose(metadata);
    if !fits(wanted.role, purpose) {
        return misconfigured(
            "the key is not made for what the role is to do",
            "choose another role or another key",
        );
    }
    if !wanted.context.is_empty() && purpose != Some(KeyPurpose::Encrypt) {
        return misconfigured(
            "signing has no encryption context that a permission could depend on",
            "leave --namespace out",
        );
    }
    let Some((name, needed)) = grant_of(wanted.role) else {
        return Err(no_grant(&key.uri));
    };
    let granted = granted(key, wanted).await?;
    if needed.iter().all(|operation| granted.contains(operation)) {
        return Ok(false);
    }
    // AWS KMS does not apply context constraints to DescribeKey, so the whole role fits into one grant.
    let constraints = pairs(wanted.context).map(|pairs| {
        GrantConstraints::builder()
            .set_encryption_context_subset(Some(pairs))
            .build()
    });
    key.kms
        .create_grant()
        .key_id(key.id())
        .grantee_principal(wanted.member)
        .set_operations(Some(needed.to_vec()))
        .set_constraints(constraints)
        .name(name)
        .send()
        .await
        .map_err(key.failed("kms:CreateGrant"))?;
    Ok(true)
}

/// The error for a role that no grant permits.
pub(crate) fn no_grant(key: &KeyUri) -> ProviderError {
    unsupported(
        key,
        "AWS KMS has no grant for this role",
        "change the key's policy, or choose another role",
    )
}

/// A grant's name, and what it permits. AWS KMS treats equal grants with one name as one grant.
pub(crate) const fn grant_of(role: KeyRole) -> Option<(&'static str, &'static [Operation])> {
    Some(match role {
        KeyRole::Encrypter => (
            "temporal-kms-codec-encrypter",
            &[
                Operation::GenerateDataKey,
                Operation::Encrypt,
                Operation::DescribeKey,
            ],
        ),
        KeyRole::Decrypter => (
            "temporal-kms-codec-decrypter",
            &[Operation::Decrypt, Operation::DescribeKey],
        ),
        KeyRole::Signer => (
            "temporal-kms-codec-signer",
            &[
                Operation::Sign,
                Operation::GetPublicKey,
                Operation::DescribeKey,
            ],
        ),
        KeyRole::Verifier => (
            "temporal-kms-codec-verifier",
            &[
                Operation::Verify,
                Operation::GetPublicKey,
                Operation::DescribeKey,
            ],
        ),
        _ => return None,
    })
}

fn fits(role: KeyRole, purpose: Option<KeyPurpose>) -> bool {
    match role {
        KeyRole::Encrypter | KeyRole::Decrypter => purpose == Some(KeyPurpose::Encrypt),
        KeyRole::Signer | KeyRole::Verifier => {
            matches!(
                purpose,
                Some(KeyPurpose::SignP256 | KeyPurpose::SignEd25519)
            )
        }
        _ => false,
    }
}

/// The operations that the member may already use under every wanted context.
async fn granted(key: &RegionalKey, wanted: &Wanted<'_>) -> Result<Vec<Operation>, ProviderError> {
    let granted = all(key, Some(wanted.member)).await?.into_iter();
    let covering = granted.filter(|grant| covers(grant, wanted.context));
    let operations = covering.flat_map(|grant| grant.operations.unwrap_or_default());
    Ok(operations.collect())
}

/// Every grant of the key, or those of one member.
pub(super) async fn all(
    key: &RegionalKey,
    member: Option<&str>,
) -> Result<Vec<GrantListEntry>, ProviderError> {
    let call = key.kms.list_grants().key_id(key.id());
    let call = call.set_grantee_principal(member.map(str::to_owned));
    let mut pages = call.into_paginator().send();
    let mut grants = Vec::new();
    for _ in 0..MAX_PAGES {
        let Some(page) = pages.next().await else {
            return Ok(grants);
        };
        let page = page.map_err(key.failed("kms:ListGrants"))?;
        grants.extend(page.grants.unwrap_or_default());
        if let Some(member) = member {
            grants.retain(|grant| grant.grantee_principal() == Some(member));
        }
    }
    Err(endless(key))
}

/// Whether a grant permits calls under every context that holds these pairs.
fn covers(grant: &GrantListEntry, context: &EncryptionContext) -> bool {
    let Some(constraints) = grant.constraints() else {
        return true;
    };
    let holds = |name: &str, value: &str| context.iter().any(|pair| pair == (name, value));
    let subset = constraints.encryption_context_subset();
    constraints.encryption_context_equals().is_none()
        && constraints.source_arn().is_none()
        && subset.is_none_or(|pairs| pairs.iter().all(|(name, value)| holds(name, value)))
}

fn is_principal(member: &str) -> bool {
    let mut parts = member.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, _, _, resource) =
        (next(), next(), next(), next(), next(), next());
    arn == "arn"
        && partition.starts_with("aws")
        && ["iam", "sts"].contains(&service)
        && !resource.is_empty()
        && member.len() <= 256
        && member.bytes().all(|byte| byte.is_ascii_graphic())
}
