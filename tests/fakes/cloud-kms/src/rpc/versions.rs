use serde::Deserialize;
use serde_json::Value;

use super::list;
use crate::{
    error::ApiError,
    model::{CryptoKeyVersion, Name, State, Store, parse_body},
    route::Route,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VersionBody {
    #[serde(default, rename = "name")]
    _name: String,
    state: Option<State>,
}

pub(super) fn list(store: &Store, route: &Route) -> Result<Value, ApiError> {
    let key = store.key(&route.name)?;
    list::page(route, "cryptoKeyVersions", &key.versions, |version| {
        version.encode(&key.name, route.encoding)
    })
}

pub(super) fn get(store: &Store, route: &Route) -> Result<Value, ApiError> {
    let (key, version) = store.version(&route.name)?;
    Ok(version.encode(&key.name, route.encoding))
}

pub(super) fn create(store: &mut Store, route: &Route, body: &[u8]) -> Result<Value, ApiError> {
    parse_body::<VersionBody>(body)?;
    let now = store.now();
    let key = store.key_mut(&route.name)?;
    let id = key.add_version(now)?;
    let name = Name::Version {
        key: key.name.clone(),
        id,
    };
    saved(store, route, &name)
}

pub(super) fn update(store: &mut Store, route: &Route, body: &[u8]) -> Result<Value, ApiError> {
    let body: VersionBody = parse_body(body)?;
    if route.parameter("updateMask") != Some("state") {
        return Err(ApiError::field(
            "update_mask",
            "of a version only the state can be set",
        ));
    }
    let Some(state @ (State::Enabled | State::Disabled)) = body.state else {
        return Err(ApiError::field(
            "crypto_key_version.state",
            "it can be set to ENABLED or DISABLED only",
        ));
    };
    change(store, route, |version| match version.state {
        State::Enabled | State::Disabled => {
            version.state = state;
            true
        }
        _ => false,
    })
}

pub(super) fn destroy(store: &mut Store, route: &Route) -> Result<Value, ApiError> {
    let after = store.key(&route.name)?.destroy_scheduled_duration;
    let time = store.now() + after.unwrap_or_default();
    change(store, route, |version| match version.state {
        State::Enabled | State::Disabled => {
            version.state = State::DestroyScheduled;
            version.destroy_time = Some(time);
            true
        }
        _ => false,
    })
}

pub(super) fn restore(store: &mut Store, route: &Route) -> Result<Value, ApiError> {
    change(store, route, |version| match version.state {
        State::DestroyScheduled => {
            version.state = State::Disabled;
            version.destroy_time = None;
            true
        }
        _ => false,
    })
}

/// Changes a version's state, if `apply` finds that it can be changed.
fn change(
    store: &mut Store,
    route: &Route,
    apply: impl FnOnce(&mut CryptoKeyVersion) -> bool,
) -> Result<Value, ApiError> {
    store.version(&route.name)?;
    let Name::Version { key, id } = &route.name else {
        return Err(ApiError::invalid("It is not a version."));
    };
    let version = store.key_mut(&route.name)?.version_mut(*id);
    let Some(version) = version else {
        return Err(ApiError::not_found(
            "CryptoKeyVersion",
            &route.name.to_string(),
        ));
    };
    if !apply(version) {
        let name = version.name(key);
        let state = version.state.name();
        return Err(ApiError::precondition(
            "KEY_STATE",
            &name,
            format!("{name} cannot be changed like this, current state is: {state}."),
        ));
    }
    saved(store, route, &route.name)
}

fn saved(store: &Store, route: &Route, name: &Name) -> Result<Value, ApiError> {
    store.save()?;
    let (key, version) = store.version(name)?;
    Ok(version.encode(&key.name, route.encoding))
}
