//! A key that is not found: is it in another place, or is its name misspelt?

use temporal_kms_codec::{
    KeyUri, Scheme,
    kms::{
        Advice, CredentialsFound, Diagnose, FailureCause, KeyInOtherPlace, Kms, ProviderError,
        ProviderErrorKind as Kind,
    },
};
use temporal_kms_codec_service::missing_key::{OF_DECRYPTION, with_remedy};

use super::{
    advice,
    finding::{Check, Finding},
    purpose::Purpose,
};

/// Names that are less alike are others.
const ALIKE: f64 = 0.8;
const SHOWN: usize = 5;

/// A key that is looked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'k> {
    pub(super) key: &'k KeyUri,
    pub(super) purpose: Purpose,
    /// Whether a new key does not help: the key has to open what it encrypted before.
    pub(super) must_exist: bool,
}

/// Why a key cannot be found, as far as the service tells.
pub(super) async fn missing(
    wanted: Wanted<'_>,
    error: &ProviderError,
    kms: &Kms,
    service: &dyn Diagnose,
    credentials: &CredentialsFound,
) -> Finding {
    let Wanted { key, purpose, .. } = wanted;
    let failed = |summary: String, remedy: String| {
        Finding::failed(Check::Key, advice::exit(error), summary, remedy)
    };
    let explained = service.explain(key, error);
    if let Some(advice) = &explained
        && is_for_other_purpose(key, purpose, error, kms).await
    {
        return failed(advice.summary.clone(), purpose.instead().to_owned());
    }
    // Which project pays, and what a perimeter keeps out, says nothing of the key.
    if let (Some(FailureCause::QuotaProject | FailureCause::Perimeter), Some(advice)) =
        (error.cause(), &explained)
    {
        return failed(advice.summary.clone(), advice.remedy.clone());
    }
    let other = service.in_other_place(key, credentials);
    let existence = match &other {
        Some(place) => existence(&place.key, purpose, kms).await,
        None => Existence::No,
    };
    if let (Some(place), Existence::Yes) = (&other, existence) {
        return failed(
            format!(
                "wrong {}: this caller sees no such key in {}. {} has it, and {} names {}",
                place.kind, place.own, place.other, place.named_by, place.other
            ),
            format!("name the key {}", place.key),
        );
    }
    let hint = other.as_ref().map_or_else(String::new, |place| {
        let (kind, other, says) = (place.kind, &place.other, &place.named_by);
        format!("; wrong {kind}? {says} names {other}")
    });
    if let Some(Advice {
        summary, remedy, ..
    }) = explained
    {
        return failed(format!("{summary}{hint}"), remedy);
    }
    if error.kind() != Kind::KeyNotFound {
        return failed(
            format!("{}{hint}", error.summary()),
            error.remedy().to_owned(),
        );
    }
    let create = advice::keys("create", key, purpose.create_arguments(), kms);
    // `remedy` creates the key, among other advice.
    let to_create = |summary: String, remedy: String| {
        if !wanted.must_exist {
            return failed(summary, remedy);
        }
        let error = with_remedy(error.clone(), OF_DECRYPTION);
        failed(summary, error.remedy().to_owned())
    };
    if let (Some(place), Existence::Unknown) = (&other, existence) {
        let (summary, remedy) = perhaps_in_other_place(place, &create);
        return to_create(summary, remedy);
    }
    match in_same_place(key, kms).await {
        Ok(keys) if keys.is_empty() => to_create(
            format!("there is no such key, nor any other in the same place{hint}"),
            format!("check the place in its name, or create the key: {create}"),
        ),
        Ok(keys) => {
            if let Some(near) = nearest(service, key, &keys) {
                return to_create(
                    format!("there is no such key; a key in the same place is called {near}"),
                    format!("name {near} if that is meant, or create the key: {create}"),
                );
            }
            let some = keys.iter().take(SHOWN).map(|key| service.short_name(key));
            let some: Vec<_> = some.collect();
            let more = if keys.len() > SHOWN { ", …" } else { "" };
            to_create(
                format!(
                    "there is no such key; in the same place are {}{more}{hint}",
                    some.join(", ")
                ),
                format!("name one of them, or create the key: {create}"),
            )
        }
        Err(listed) => match service.missing_place(key) {
            Some(Advice {
                summary, remedy, ..
            }) if listed.kind() == Kind::KeyNotFound => {
                to_create(format!("{summary}{hint}"), format!("{remedy}: {create}"))
            }
            _ => to_create(
                format!("{}{hint}", error.summary()),
                format!("{}, or create it: {create}", service.where_to_look(key)),
            ),
        },
    }
}

/// What to say of a key that another place may have. The place does not let this caller look.
fn perhaps_in_other_place(place: &KeyInOtherPlace, create: &str) -> (String, String) {
    (
        format!(
            "this caller sees no such key in {}. {} may have it, but does not let this caller look. {} names {}",
            place.own, place.other, place.named_by, place.other
        ),
        format!(
            "if the {} is wrong, name the key {}; otherwise create the key: {create}",
            place.kind, place.key
        ),
    )
}

/// A remark on the place, where the service refuses without telling whether there is such a key.
pub(super) fn other_place_hint(
    key: &KeyUri,
    service: &dyn Diagnose,
    credentials: &CredentialsFound,
) -> Option<Finding> {
    let place = service.in_other_place(key, credentials)?;
    let kind = place.kind;
    Some(Finding::warning(
        Check::Key,
        format!(
            "the service does not tell whether it exists; its {kind} is {}, but {} names {}",
            place.own, place.named_by, place.other
        ),
        format!("if the {kind} is wrong, name the key {}", place.key),
    ))
}

/// Whether a key exists, as far as its service tells this caller.
#[derive(Clone, Copy)]
enum Existence {
    Yes,
    No,
    Unknown,
}

async fn existence(key: &KeyUri, purpose: Purpose, kms: &Kms) -> Existence {
    let Err(error) = try_on(key, purpose, kms).await else {
        return Existence::Yes;
    };
    match (purpose, error.kind()) {
        (_, Kind::KeyDisabled) => Existence::Yes,
        // A caller that only signs may not read the public key. The same error can mean that the key does not exist.
        (Purpose::Sign, Kind::PermissionDenied) => Existence::Unknown,
        _ => Existence::No,
    }
}

/// Whether the key exists, and does the other of encrypting and signing. Only local keys tell.
async fn is_for_other_purpose(
    key: &KeyUri,
    purpose: Purpose,
    error: &ProviderError,
    kms: &Kms,
) -> bool {
    error.kind() == Kind::Misconfigured
        && key.scheme() == Scheme::LOCAL
        && try_on(key, purpose.other(), kms).await.is_ok()
}

/// A call that changes nothing.
async fn try_on(key: &KeyUri, purpose: Purpose, kms: &Kms) -> Result<(), ProviderError> {
    match purpose {
        Purpose::Encrypt => kms.key(key).await?.check_usable().await.map(drop),
        Purpose::Sign => kms.signer(key).await?.public_key(None).await.map(drop),
    }
}

async fn in_same_place(key: &KeyUri, kms: &Kms) -> Result<Vec<KeyUri>, ProviderError> {
    let keys = kms.admin(key).await?.list(key).await?;
    Ok(keys.into_iter().map(|key| key.uri).collect())
}

fn nearest<'k>(service: &dyn Diagnose, wanted: &KeyUri, keys: &'k [KeyUri]) -> Option<&'k KeyUri> {
    let wanted = service.short_name(wanted);
    keys.iter()
        .map(|key| (strsim::jaro_winkler(wanted, service.short_name(key)), key))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> KeyUri {
        format!("local://{name}").parse().unwrap()
    }

    #[test]
    fn a_near_name_is_found_and_a_far_one_is_not() {
        let keys = ["orders", "workflow-encryption", "workflows"].map(key);
        let nearest = |wanted: &KeyUri, keys: &[KeyUri]| {
            let kms = Kms::default();
            let service = kms.diagnose(wanted).unwrap();
            nearest(service, wanted, keys).cloned()
        };
        let near = nearest(&key("workflow-encrpytion"), &keys);
        assert_eq!(near, Some(key("workflow-encryption")));
        assert_eq!(nearest(&key("order"), &keys), Some(key("orders")));
        assert_eq!(nearest(&key("zzz"), &keys), None);
        assert_eq!(nearest(&key("a"), &[]), None);
    }
}
