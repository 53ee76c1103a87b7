//! Who may use a key, by grants with and without constraints.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    error::ApiError,
    store::{Store, by_id},
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
    let same = |grant: &&Value| fields.iter().all(|field| grant[field] == input[field]);
    if let Some(grant) = key.grants.iter().find(same) {
        return Ok(json!({ "GrantId": grant["GrantId"], "GrantToken": "token" }));
    }
    let id = Uuid::new_v4().simple().to_string();
    key.grants.push(json!({
        "KeyId": input["KeyId"],
        "GrantId": id,
        "GranteePrincipal": input["GranteePrincipal"],
        "Operations": input["Operations"],
        "Name": input["Name"],
        "Constraints": input["Constraints"],
    }));
    Ok(json!({ "GrantId": id, "GrantToken": "token" }))
}

/// `ListGrants`, those of one principal where one is named.
pub(crate) fn list(store: &mut Store, region: &str, input: &Value) -> Result<Value, ApiError> {
    let key = by_id(store, region, input)?;
    let asked = &input["GranteePrincipal"];
    let grants: Vec<_> = key
        .grants
        .iter()
        .filter(|grant| asked.is_null() || grant["GranteePrincipal"] == *asked)
        .collect();
    Ok(json!({ "Grants": grants, "Truncated": false }))
}
