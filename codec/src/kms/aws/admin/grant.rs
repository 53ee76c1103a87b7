use aws_sdk_kms::types::{GrantListEntry, GrantOperation as Operation};

use super::{MAX_PAGES, details::endless};
use crate::kms::{
    KeyPurpose, KeyRole, ProviderError, ProviderErrorKind as Kind,
    aws::{client::RegionalKey, metadata},
};

/// Permits `member`, the ARN of a user or role, what `role` needs, unless it is permitted to already.
pub(super) async fn grant(
    key: &RegionalKey,
    member: &str,
    role: KeyRole,
) -> Result<bool, ProviderError> {
    if !is_principal(member) {
        return Err(key.error(Kind::Misconfigured).with_detail(
            "whom to permit is the ARN of a user or role, such as arn:aws:iam::111122223333:role/worker",
        ));
    }
    let purpose = metadata::purpose(&metadata::describe(key).await?);
    if !fits(role, purpose) {
        return Err(key
            .error(Kind::Misconfigured)
            .with_detail("the key is not made for what the role is to do"));
    }
    let needed = operations(role);
    let granted = granted(key, member).await?;
    if needed.iter().all(|operation| granted.contains(operation)) {
        return Ok(false);
    }
    // Two equal grants of one name are one.
    let name = match role {
        KeyRole::Encrypter => "temporal-kms-codec-encrypter",
        KeyRole::Decrypter => "temporal-kms-codec-decrypter",
        KeyRole::Signer => "temporal-kms-codec-signer",
        KeyRole::Verifier => "temporal-kms-codec-verifier",
    };
    key.kms
        .create_grant()
        .key_id(key.id())
        .grantee_principal(member)
        .set_operations(Some(needed.to_vec()))
        .name(name)
        .send()
        .await
        .map_err(key.failed("kms:CreateGrant"))?;
    Ok(true)
}

const fn operations(role: KeyRole) -> &'static [Operation] {
    match role {
        KeyRole::Encrypter => &[
            Operation::GenerateDataKey,
            Operation::Encrypt,
            Operation::DescribeKey,
        ],
        KeyRole::Decrypter => &[Operation::Decrypt, Operation::DescribeKey],
        KeyRole::Signer => &[
            Operation::Sign,
            Operation::GetPublicKey,
            Operation::DescribeKey,
        ],
        KeyRole::Verifier => &[
            Operation::Verify,
            Operation::GetPublicKey,
            Operation::DescribeKey,
        ],
    }
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
    }
}

/// What `member` may do by grants without conditions.
async fn granted(key: &RegionalKey, member: &str) -> Result<Vec<Operation>, ProviderError> {
    let call = key
        .kms
        .list_grants()
        .key_id(key.id())
        .grantee_principal(member);
    let mut pages = call.into_paginator().send();
    let mut granted = Vec::new();
    for _ in 0..MAX_PAGES {
        let Some(page) = pages.next().await else {
            return Ok(granted);
        };
        let page = page.map_err(key.failed("kms:ListGrants"))?;
        for grant in page.grants.unwrap_or_default() {
            if grant.grantee_principal() == Some(member) && is_unconditional(&grant) {
                granted.extend(grant.operations.unwrap_or_default());
            }
        }
    }
    Err(endless(key))
}

fn is_unconditional(grant: &GrantListEntry) -> bool {
    grant.constraints().is_none_or(|constraints| {
        constraints.encryption_context_equals().is_none()
            && constraints.encryption_context_subset().is_none()
            && constraints.source_arn().is_none()
    })
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
