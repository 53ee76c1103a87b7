//! `GET /status`: the state of namespaces, keys and the server, for callers with the role `admin`. The page shows it as
//! tables.

mod server;
mod table;

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use temporal_kms_codec::{Format, KeyUri, Namespace};
use temporal_kms_codec_service::{
    auth::{Identity, Method, Role},
    namespaces::{NamespaceConfig, NamespacesConfig},
};

use self::table::{Table, shown_age};
use super::{
    answer, app::App, authenticate::caller, request_error::RequestError, request_id::RequestId,
};

/// Rows of one table. A server with more namespaces is looked at with `config show`.
const MOST_ROWS: usize = 1000;

#[derive(Serialize)]
struct Status {
    tables: Vec<Table>,
}

pub(super) async fn status(State(app): State<Arc<App>>, request: Request) -> Response {
    let id = RequestId::of(&request);
    let (head, _) = request.into_parts();
    let tables = async {
        let identity = caller(&head, &app.authenticator, &app.origins).await?;
        let mut tables = tables(&app, &identity)?;
        tables.extend(server::tables(&app.shared, manages_all(&identity)).await);
        Ok(tables)
    };
    match tables.await {
        Ok(tables) => Json(Status { tables }).into_response(),
        Err(refused) => answer::refused(&refused, id),
    }
}

fn tables(app: &App, identity: &Identity) -> Result<Vec<Table>, RequestError> {
    let seen = managed(&app.configured, identity);
    if seen.is_empty() {
        return Err(RequestError::NotAdmin);
    }
    let keys: BTreeSet<&KeyUri> = seen
        .iter()
        .flat_map(|(_, config)| config.encrypt.iter().chain(&config.decrypt))
        .collect();
    Ok(vec![namespaces(app, &seen), versions(app, &keys)])
}

/// Whether the caller has the role `admin` in every namespace, and may see what concerns all of them.
fn manages_all(identity: &Identity) -> bool {
    let mut roles = identity.permissions().everywhere().iter();
    identity.method() == Method::Open || roles.any(|role| role == Role::Admin)
}

/// The namespaces, or patterns of names, in which the caller has the role `admin`.
fn managed<'c>(
    configured: &'c NamespacesConfig,
    identity: &Identity,
) -> Vec<(String, &'c NamespaceConfig)> {
    let is_open = identity.method() == Method::Open;
    let is_admin = |name: &str| {
        let namespace = Namespace::new(name).ok();
        let roles = namespace.map(|namespace| identity.permissions().roles(&namespace));
        is_open || roles.is_some_and(|roles| roles.iter().any(|role| role == Role::Admin))
    };
    match configured {
        NamespacesConfig::Any(config) => is_admin("*")
            .then(|| ("any".to_owned(), config))
            .into_iter()
            .collect(),
        NamespacesConfig::Named(named) => {
            let exact = named.exact.iter();
            let exact = exact.map(|(name, config)| (name.to_string(), config));
            let patterns = named.patterns.iter();
            let patterns = patterns.map(|(pattern, config)| (pattern.to_string(), config));
            exact
                .chain(patterns)
                .filter(|(name, _)| is_admin(name))
                .take(MOST_ROWS)
                .collect()
        }
    }
}

fn namespaces(app: &App, seen: &[(String, &NamespaceConfig)]) -> Table {
    let rows = seen.iter().map(|(name, config)| {
        let data_keys = app.namespaces.data_keys(name);
        let age = data_keys.and_then(|state| state.sealing_age);
        vec![
            name.clone(),
            list(&config.encrypt),
            list(&config.decrypt),
            list(&formats(config)),
            config.plaintext.as_str().to_owned(),
            data_keys.map_or_else(String::new, |state| state.cached.to_string()),
            age.map_or_else(String::new, shown_age),
        ]
    });
    Table {
        title: "Namespaces",
        columns: &[
            "namespace",
            "encrypts with",
            "also decrypts with",
            "formats",
            "plaintext",
            "data keys in memory",
            "age of the data key that encrypts",
        ],
        rows: rows.collect(),
    }
}

/// The formats that are opened. The first one is written, where anything is.
fn formats(config: &NamespaceConfig) -> Vec<Format> {
    let mut formats = vec![config.format];
    for format in config.opened_formats() {
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    formats
}

/// The version of each key that encrypts now, as far as its service has told it. No service is asked for this.
fn versions(app: &App, keys: &BTreeSet<&KeyUri>) -> Table {
    const NOT_KNOWN: &str = "not known";
    let known = app.metrics.primary_versions();
    let now = SystemTime::now();
    let since = |time: SystemTime| shown_age(now.duration_since(time).unwrap_or_default());
    let rows = keys.iter().take(MOST_ROWS).map(|key| {
        let primary = known.get(*key);
        let version = primary.and_then(|primary| primary.version.clone());
        let age = primary.and_then(|primary| primary.created).map(since);
        let asked = primary.map(|primary| format!("{} ago", since(primary.told_at)));
        vec![
            key.to_string(),
            version.unwrap_or_else(|| NOT_KNOWN.to_owned()),
            age.unwrap_or_else(|| NOT_KNOWN.to_owned()),
            asked.unwrap_or_default(),
        ]
    });
    Table {
        title: "Keys",
        columns: &[
            "key",
            "version that encrypts",
            "age of that version",
            "told by its service",
        ],
        rows: rows.collect(),
    }
}

fn list<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    values.join(", ")
}
