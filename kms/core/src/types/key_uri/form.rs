//! The forms of keys' names at the known services.

use super::{query, token::Pkcs11Path};
use crate::Scheme;

/// The canonical form of a key's name, or what is wrong with it. The reason repeats only the names of parameters.
pub(super) fn canonical(scheme: Scheme, resource: &str) -> Result<String, String> {
    match scheme {
        Scheme::AWS_KMS => aws_name(resource),
        Scheme::PKCS11 => Ok(Pkcs11Path::parse(resource)?.to_string()),
        _ => name_without_query(scheme, resource),
    }
}

/// A name without a query.
fn name_without_query(scheme: Scheme, resource: &str) -> Result<String, String> {
    let (name, query) = query::split(resource);
    query::none(query)?;
    let (valid, form) = match scheme {
        Scheme::LOCAL => (
            is_file_name(name),
            "local://NAME, where NAME is up to 64 letters, digits, `.`, `_`, `-`",
        ),
        Scheme::GCP_KMS => (
            is_gcp_key(name),
            "gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K, without a version",
        ),
        // Otherwise a user name and a password would be shown with every key's name.
        _ => (
            !name.is_empty() && !name.contains(['#', '@']),
            "SCHEME://NAME, where NAME has no `?`, `#` and `@`",
        ),
    };
    if !valid {
        return Err(format!("the form is {form}"));
    }
    Ok(name.to_owned())
}

/// Keeps `local://` names inside their folder.
fn is_file_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_gcp_key(resource: &str) -> bool {
    let parts: Vec<&str> = resource.split('/').collect();
    let is_part = |part: &&&str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
    };
    matches!(
        parts.as_slice(),
        ["projects", p, "locations", l, "keyRings", r, "cryptoKeys", k]
            if [p, l, r, k].iter().all(is_part)
    )
}

/// An ARN, or an alias or key id with or without its region: `alias/NAME?region=REGION`.
fn aws_name(resource: &str) -> Result<String, String> {
    let (name, query) = query::split(resource);
    let region = query::region(query)?;
    let is_made_of = |others: &[u8]| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
    };
    if name.starts_with("arn:") && is_made_of(b":/_-") {
        let own = name.split(':').nth(3);
        if region.is_some_and(|region| own != Some(region)) {
            return Err("the region in its query is not the region of its ARN".to_owned());
        }
        return Ok(name.to_owned());
    }
    let is_alias = name.starts_with("alias/") && is_made_of(b"/_-");
    if !is_alias && !is_aws_key_id(name) {
        return Err(
            "the form is aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID, an alias' ARN, or \
             aws-kms://alias/NAME?region=REGION"
                .to_owned(),
        );
    }
    Ok(match region {
        Some(region) => format!("{name}?region={region}"),
        None => name.to_owned(),
    })
}

/// A UUID, or the id of a multi-region key.
fn is_aws_key_id(name: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(id) = name.strip_prefix("mrk-") {
        return id.len() == 32 && is_hex(id);
    }
    let parts: Vec<_> = name.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.into_iter().all(is_hex)
}
