use serde::Deserialize;
use serde_json::Value;

use super::list;
use crate::{
    error::{ApiError, Code},
    model::{KeyRing, Name, Store, is_resource_id, parse_body},
    route::Route,
};

/// A key ring has no settings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewKeyRing {
    #[serde(default, rename = "name")]
    _name: String,
}

pub(super) fn list(store: &Store, route: &Route) -> Result<Value, ApiError> {
    let prefix = format!("{}/keyRings/", route.name);
    let rings: Vec<&KeyRing> = store
        .rings
        .values()
        .filter(|ring| ring.name.starts_with(&prefix))
        .collect();
    list::page(route, "keyRings", &rings, |ring| ring.encode())
}

pub(super) fn get(store: &Store, route: &Route) -> Result<Value, ApiError> {
    Ok(store.ring(&route.name.to_string())?.encode())
}

pub(super) fn create(store: &mut Store, route: &Route, body: &[u8]) -> Result<Value, ApiError> {
    parse_body::<NewKeyRing>(body)?;
    let name = child(
        &route.name,
        "keyRings",
        "key_ring_id",
        route.parameter("keyRingId"),
    )?;
    if store.rings.contains_key(&name) {
        return Err(already_exists("KeyRing", &name));
    }
    let ring = KeyRing {
        name: name.clone(),
        create_time: store.now(),
    };
    let answer = ring.encode();
    store.rings.insert(name, ring);
    store.save()?;
    Ok(answer)
}

/// The name of a resource that is to be made.
pub(super) fn child(
    parent: &Name,
    collection: &str,
    field: &str,
    id: Option<&str>,
) -> Result<String, ApiError> {
    match id {
        Some(id) if is_resource_id(id) => Ok(format!("{parent}/{collection}/{id}")),
        _ => Err(ApiError::field(field, "it must match [a-zA-Z0-9_-]{1,63}")),
    }
}

pub(super) fn already_exists(kind: &str, name: &str) -> ApiError {
    ApiError::new(
        Code::AlreadyExists,
        format!("{kind} {name} already exists."),
    )
}
