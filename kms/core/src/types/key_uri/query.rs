//! The query of a key URI. At AWS KMS it may hold one region. The other services allow no query.

/// Splits a name at its first `?`: the name itself, and its query.
pub(super) fn split(name: &str) -> (&str, Option<&str>) {
    match name.split_once('?') {
        Some((name, query)) => (name, Some(query)),
        None => (name, None),
    }
}

/// Refuses a name with a query. The reason repeats no value.
pub(super) fn none(query: Option<&str>) -> Result<(), String> {
    match query {
        None => Ok(()),
        Some(query) => Err(format!("its query must be left out{}", named(query))),
    }
}

/// The region of a query that holds nothing else, as Go CDK's URIs have it.
pub(super) fn region(query: Option<&str>) -> Result<Option<&str>, String> {
    let Some(query) = query else {
        return Ok(None);
    };
    match query.strip_prefix("region=") {
        Some(region) if is_region(region) => Ok(Some(region)),
        Some(region) if !region.contains('&') => {
            Err("the region in its query is not one, such as eu-west-1".to_owned())
        }
        _ => Err(format!(
            "its query may hold region=REGION only{}",
            named(query)
        )),
    }
}

/// Whether `region` can be the name of a region. It becomes part of a host name.
#[must_use]
pub fn is_region(region: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&region.len())
        && region.bytes().all(allowed)
        && !region.starts_with('-')
        && !region.ends_with('-')
}

/// The names of a query's parameters, without their values.
fn named(query: &str) -> String {
    let is_name = |name: &str| {
        (1..=32).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || b"_-".contains(&byte))
    };
    let names: Vec<_> = query
        .split('&')
        .filter_map(|parameter| parameter.split_once('='))
        .map(|(name, _)| name)
        .filter(|name| *name != "region" && is_name(name))
        .take(4)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.is_empty() {
        return String::new();
    }
    format!(", but it holds {}", names.join(", "))
}
