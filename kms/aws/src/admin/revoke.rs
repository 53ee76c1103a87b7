//! Taking grants away.

use aws_sdk_kms::types::{GrantListEntry, GrantOperation as Operation};

use super::grant::{all, grant_of, no_grant};
use crate::client::RegionalKey;
use temporal_kms::{EncryptionContext, KeyRole, ProviderError, ProviderErrorKind as Kind};

/// Operations that several roles have, and that give nobody any use of the key.
const HARMLESS: [Operation; 2] = [Operation::DescribeKey, Operation::GetPublicKey];

/// Revokes every grant that gives `member` this role and no more: under `context`, or under any. Returns whether there was
/// one.
pub(super) async fn revoke(
    key: &RegionalKey,
    member: &str,
    role: KeyRole,
    context: Option<&EncryptionContext>,
) -> Result<bool, ProviderError> {
    let Some((_, operations)) = grant_of(role) else {
        return Err(no_grant(&key.uri));
    };
    let is_of_role = |operation: &Operation| operations.contains(operation);
    let permits = |grant: &&GrantListEntry| {
        let mut permitted = grant.operations().iter();
        permitted.any(|operation| is_of_role(operation) && !HARMLESS.contains(operation))
            && context.is_none_or(|context| is_for(grant, context))
    };
    let grants = all(key, Some(member)).await?;
    let (exact, wider): (Vec<_>, Vec<_>) = grants
        .iter()
        .filter(permits)
        .partition(|grant| grant.operations().iter().all(is_of_role));
    for grant in &exact {
        let id = grant.grant_id().unwrap_or_default();
        let call = key.kms.revoke_grant().key_id(key.id()).grant_id(id);
        call.send().await.map_err(key.failed("kms:RevokeGrant"))?;
    }
    let Some(wider) = wider.first() else {
        return Ok(!exact.is_empty());
    };
    let detail = format!(
        "{} of its grants to {member} revoked, but grant {} permits the role together with other operations",
        exact.len(),
        wider.grant_id().unwrap_or("without an id"),
    );
    Err(key
        .error(Kind::Misconfigured)
        .with_detail(detail)
        .with_remedy("revoke it with aws kms revoke-grant, and grant the rest again"))
}

/// Whether a grant is held to exactly these pairs.
fn is_for(grant: &GrantListEntry, context: &EncryptionContext) -> bool {
    let subset = grant
        .constraints()
        .and_then(|constraints| constraints.encryption_context_subset());
    subset.is_some_and(|pairs| {
        pairs.len() == context.iter().count()
            && context
                .iter()
                .all(|(name, value)| pairs.get(name).is_some_and(|known| known == value))
    })
}
