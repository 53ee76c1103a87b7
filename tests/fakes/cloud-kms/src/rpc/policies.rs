use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    error::ApiError,
    model::{Name, NewPolicy, Policy, Store, parse_body},
    route::Route,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetRequest {
    #[serde(default, rename = "resource")]
    _resource: String,
    #[serde(default)]
    policy: NewPolicy,
    #[serde(default, rename = "updateMask")]
    _update_mask: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TestRequest {
    #[serde(default, rename = "resource")]
    _resource: String,
    #[serde(default)]
    permissions: Vec<String>,
}

pub(super) fn get(store: &Store, route: &Route) -> Result<Value, ApiError> {
    let resource = existing(store, route)?;
    Ok(match store.policies.get(&resource) {
        Some(policy) => policy.encode(),
        None => Policy::default().encode(),
    })
}

pub(super) fn set(store: &mut Store, route: &Route, body: &[u8]) -> Result<Value, ApiError> {
    let request: SetRequest = parse_body(body)?;
    let resource = existing(store, route)?;
    let policy = store.policies.entry(resource).or_default();
    *policy = policy.replaced_by(request.policy)?;
    let answer = policy.encode();
    store.save()?;
    Ok(answer)
}

/// Returns all requested permissions. The fault `deny` removes those that it denies.
pub(super) fn test(store: &Store, route: &Route, body: &[u8]) -> Result<Value, ApiError> {
    let request: TestRequest = parse_body(body)?;
    existing(store, route)?;
    Ok(json!({ "permissions": request.permissions }))
}

fn existing(store: &Store, route: &Route) -> Result<String, ApiError> {
    let resource = route.name.to_string();
    match route.name {
        Name::KeyRing(_) => store.ring(&resource).map(|_| ())?,
        _ => store.key(&route.name).map(|_| ())?,
    }
    Ok(resource)
}
