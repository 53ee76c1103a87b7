//! Who may use a key, by grants with and without constraints.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    error::ApiError,
    store::{ACCOUNT, Store, by_id},
};

/// `CreateGrant`. Two equal grants of one name are one.
pub(crate) fn create(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let key = by_id(store, region, input)?;
    for required in ["GranteePrincipal", "Operations"] {
        if input[required].is_null() {
            return Err(ApiError::validation(required));
        }
    }
    let fields = ["GranteePrincipal", "Operations", "Name", "Constraints"];
    let same = |grant: &Value| fields.iter().all(|field| grant[field] == input[field]);
    let mut here = key.grants.iter().filter(|(place, _)| place == region);
    if let Some((_, grant)) = here.find(|(_, grant)| same(grant)) {
        return Ok(json!({ "GrantId": grant["GrantId"], "GrantToken": "token" }));
    }
    let id = Uuid::new_v4().simple().to_string();
    let grant = json!({
        "KeyId": input["KeyId"],
        "GrantId": id,
        "GranteePrincipal": input["GranteePrincipal"],
        "Operations": input["Operations"],
        "Name": input["Name"],
        "Constraints": input["Constraints"],
    });
    key.grants.push((region.to_owned(), grant));
    Ok(json!({ "GrantId": id, "GrantToken": "token" }))
}

/// `ListGrants`, those of one principal where one is named.
pub(crate) fn list(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let key = by_id(store, region, input)?;
    let asked = &input["GranteePrincipal"];
    let grants: Vec<_> = key
        .grants
        .iter()
        .filter(|(place, _)| place == region)
        .map(|(_, grant)| grant)
        .filter(|grant| asked.is_null() || grant["GranteePrincipal"] == *asked)
        .collect();
    Ok(json!({ "Grants": grants, "Truncated": false }))
}

/// `RevokeGrant`.
pub(crate) fn revoke(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let key = by_id(store, region, input)?;
    let before = key.grants.len();
    key.grants
        .retain(|(place, grant)| place != region || grant["GrantId"] != input["GrantId"]);
    if key.grants.len() == before {
        return Err(ApiError::new(
            "InvalidGrantIdException",
            "there is no such grant",
        ));
    }
    Ok(json!({}))
}

/// `GetKeyPolicy`: the policy that a key gets when none is given.
pub(crate) fn policy(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    by_id(store, region, input)?;
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let policy = json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": { "AWS": root },
            "Action": "kms:*",
            "Resource": "*",
        }],
    });
    Ok(json!({ "Policy": policy.to_string(), "PolicyName": "default" }))
}
