//! Who may use a key: its grants, and the statements of its key policy.

use aws_sdk_kms::types::{GrantListEntry, GrantOperation as Operation};
use serde_json::Value;

use super::grant::{all, grant_of};
use crate::{client::RegionalKey, metadata::unreadable};
use temporal_kms::{EncryptionContext, KeyGrant, KeyGrants, KeyRole, ProviderError};

/// The only policy that a key has.
const POLICY: &str = "default";

/// Where permissions are that neither grants nor the key policy show.
const NOT_LISTED: &str =
    "IAM policies of the account apply too, where the key policy permits the account's root";

const ROLES: [KeyRole; 4] = [
    KeyRole::Encrypter,
    KeyRole::Decrypter,
    KeyRole::Signer,
    KeyRole::Verifier,
];

pub(super) async fn grants(key: &RegionalKey) -> Result<KeyGrants, ProviderError> {
    let mut grants: Vec<_> = all(key, None).await?.iter().map(of_grant).collect();
    let call = key.kms.get_key_policy().key_id(key.id());
    let answer = call.policy_name(POLICY).send().await;
    let policy = answer.map_err(key.failed("kms:GetKeyPolicy"))?.policy;
    let policy = policy.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    grants.extend(of_policy(&policy.ok_or_else(|| unreadable(key))?));
    Ok(KeyGrants::new(grants, NOT_LISTED))
}

fn of_grant(grant: &GrantListEntry) -> KeyGrant {
    let operations = grant.operations();
    let names: Vec<_> = operations.iter().map(Operation::as_str).collect();
    let constraints = grant.constraints();
    let pairs = constraints.and_then(|one| one.encryption_context_subset());
    let pairs = pairs.map(|pairs| pairs.clone().into_iter().collect());
    let context = pairs.and_then(|pairs| EncryptionContext::new(pairs).ok());
    let equals = constraints.and_then(|one| one.encryption_context_equals());
    let condition = equals.map(|pairs| {
        let mut pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.sort();
        format!("the context is exactly {}", pairs.join(", "))
    });
    KeyGrant::new(
        grant.grantee_principal().unwrap_or("-"),
        names.join(", "),
        "grant",
    )
    .with_role(role(operations))
    .with_context(context.unwrap_or_else(EncryptionContext::empty))
    .with_condition(condition)
}

/// The role whose operations a grant permits, and no others.
fn role(operations: &[Operation]) -> Option<KeyRole> {
    ROLES.into_iter().find(|role| {
        grant_of(*role).is_some_and(|(_, needed)| {
            needed.len() == operations.len() && needed.iter().all(|one| operations.contains(one))
        })
    })
}

/// The statements of a key policy, as far as they name accounts. A statement that denies says so.
fn of_policy(policy: &Value) -> Vec<KeyGrant> {
    let mut grants = Vec::new();
    for statement in list(&policy["Statement"]) {
        let actions = texts(&statement["Action"]);
        let permits = match (statement["Effect"].as_str(), actions.is_empty()) {
            (_, true) => format!(
                "everything except {}",
                texts(&statement["NotAction"]).join(", ")
            ),
            (Some("Allow"), false) => actions.join(", "),
            _ => format!("DENIED: {}", actions.join(", ")),
        };
        let condition = match &statement["Condition"] {
            Value::Null => None,
            condition => Some(condition.to_string()),
        };
        for member in members(statement) {
            grants.push(
                KeyGrant::new(member, &permits, "key policy").with_condition(condition.clone()),
            );
        }
    }
    grants
}

/// `"*"`, or the principals of every kind.
fn members(statement: &Value) -> Vec<String> {
    let principal = &statement["Principal"];
    match principal {
        Value::Object(kinds) => kinds.values().flat_map(texts).collect(),
        Value::String(all) => vec![all.clone()],
        _ => {
            let others = statement.pointer("/NotPrincipal/AWS");
            let others = others.map(texts).unwrap_or_default();
            vec![format!("everyone except {}", others.join(", "))]
        }
    }
}

/// A policy may have one value where it could have several.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        one => vec![one],
    }
}

fn texts(value: &Value) -> Vec<String> {
    let texts = list(value).into_iter().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statements_of_a_policy_name_members_actions_and_conditions() {
        let policy = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:root" }, "Action": "kms:*", "Resource": "*" },
            { "Effect": "Allow", "Principal": { "AWS": ["a", "b"], "Service": "logs.amazonaws.com" },
              "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": "*",
              "Condition": { "StringEquals": { "kms:ViaService": "s3" } } },
            { "Effect": "Deny", "Principal": "*", "Action": "kms:ScheduleKeyDeletion", "Resource": "*" },
        ]});
        let shown: Vec<_> = of_policy(&policy)
            .into_iter()
            .map(|one| (one.member, one.permits, one.condition.is_some()))
            .collect();
        let expected = [
            ("arn:aws:iam::111122223333:root", "kms:*", false),
            ("a", "kms:Encrypt, kms:Decrypt", true),
            ("b", "kms:Encrypt, kms:Decrypt", true),
            ("logs.amazonaws.com", "kms:Encrypt, kms:Decrypt", true),
            ("*", "DENIED: kms:ScheduleKeyDeletion", false),
        ];
        let expected = expected.map(|(who, what, when)| (who.to_owned(), what.to_owned(), when));
        assert_eq!(shown, expected);
        assert!(of_policy(&json!({})).is_empty());
    }

    #[test]
    fn a_role_is_exactly_its_operations() {
        let (_, operations) = grant_of(KeyRole::Decrypter).unwrap();
        assert_eq!(role(operations), Some(KeyRole::Decrypter));
        assert_eq!(role(&[Operation::Decrypt]), None);
        assert_eq!(role(&[]), None);
    }
}
