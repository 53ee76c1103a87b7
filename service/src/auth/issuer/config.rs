//! `[auth.issuers.NAME]`: whose tokens are accepted, and what their users may do.

use std::{collections::BTreeMap, time::Duration};

use url::Url;

use super::{algorithm::Algorithm, profile::Profile};
use crate::{
    auth::{address, permissions::Permission},
    settings::{Section, values},
};

/// An issuer, and the permissions of its users.
#[derive(Clone, Debug)]
pub(in crate::auth) struct IssuerConfig {
    /// `issuer`: the claim `iss` of its tokens, to the letter.
    pub(in crate::auth) issuer: String,
    pub(in crate::auth) url: Url,
    /// `jwks_url`: where its keys are. Default: discovery says where.
    pub(super) jwks_url: Option<Url>,
    /// `audience`: the claim `aud` of tokens in `Authorization`.
    pub(super) audience: Vec<String>,
    /// `id_token_audience`: the claim `aud` of ID tokens in `Authorization-Extras`.
    pub(super) id_token_audience: Vec<String>,
    /// `algorithms`: the accepted ones. Default: all that are known.
    pub(super) algorithms: Vec<Algorithm>,
    /// `clock_skew`: how far the issuer's clock may differ. Default: 60 s.
    pub(super) clock_skew: Duration,
    pub(super) keys: KeyTimes,
    pub(super) claims: ClaimNames,
    pub(super) grants: Grants,
    /// The issuer that is known beforehand, by its URL or by `profile`. The URL counts first.
    pub(super) profile: Option<&'static Profile>,
}

/// How long the keys of an issuer are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyTimes {
    /// `keys_max_age`: after this they are fetched again. Default: 1 h.
    pub(super) max_age: Duration,
    /// `keys_hard_max_age`: how long they are used while the issuer is unreachable. Default: 24 h.
    pub(super) hard_max_age: Duration,
    /// `keys_pause`: between two attempts to fetch them. Default: 10 s.
    pub(super) pause: Duration,
}

/// The claims that say what a user may do.
#[derive(Clone, Debug)]
pub(super) struct ClaimNames {
    /// `permissions_claim`: a list of `NAMESPACE:ROLE`. Default: `permissions`.
    pub(super) permissions: Option<String>,
    /// `groups_claim`. Default: `groups`.
    pub(super) groups: Option<String>,
    /// `email_claim`. Default: `email`.
    pub(super) email: String,
}

/// Permissions by what is known of a user.
#[derive(Clone, Debug, Default)]
pub(super) struct Grants {
    pub(super) groups: BTreeMap<String, Vec<Permission>>,
    /// Addresses in lower case.
    pub(super) emails: BTreeMap<String, Vec<Permission>>,
    /// Domains in lower case.
    pub(super) domains: BTreeMap<String, Vec<Permission>>,
    pub(super) subjects: BTreeMap<String, Vec<Permission>>,
}

impl IssuerConfig {
    /// `None` when it has mistakes, which are reported.
    pub(in crate::auth) fn read(mut section: Section<'_>) -> Option<Self> {
        let named = section.value("profile", Profile::of);
        let issuer = section.text("issuer", |text| {
            let url = address::parse(text)?;
            if url.query().is_some() {
                return Err("it must have no query; write it as in the claim `iss`".to_owned());
            }
            Ok((text.to_owned(), url))
        });
        // What a token is worth depends on who has signed it, and not on how the file names the issuer.
        let by_url = issuer
            .as_ref()
            .and_then(|(issuer, _)| Profile::of_issuer(issuer));
        let profile = by_url.or(named);
        let jwks_url = section.text("jwks_url", |text| Ok(address::parse(text)?));
        let audience = section.list("audience", name);
        let id_token_audience = section.list("id_token_audience", name).unwrap_or_default();
        let algorithms = section.list("algorithms", values::any);
        let mut clock_skew = Duration::from_mins(1);
        section.set("clock_skew", &mut clock_skew, clock);
        let keys = key_times(&mut section);
        let claims = claim_names(&mut section, profile);
        let grants = Grants::read(&mut section);
        let mut audience = audience.unwrap_or_default();
        if let Some(profile) = profile {
            if audience.is_empty() {
                audience.extend(profile.audience.map(str::to_owned));
            }
            if !grants.names_users(profile) {
                section.report(profile.nobody);
            }
        }
        if audience.is_empty() && id_token_audience.is_empty() {
            section.report(
                "it accepts no token; set `audience` to the audience of access tokens, `id_token_audience` to the client id \
                 of the Web UI, or both",
            );
        }
        if algorithms.as_ref().is_some_and(Vec::is_empty) {
            section.report("`algorithms` is empty; name an algorithm, or remove the setting");
        }
        let has_issuer = section.holds("issuer");
        // Another issuer has other keys.
        let known = by_url.or(named.filter(|_| !has_issuer));
        let default =
            known.and_then(|known| Some((known.issuer.to_owned(), known.issuer.parse().ok()?)));
        let jwks_url = jwks_url.or_else(|| known?.jwks_url.parse().ok());
        if !has_issuer && !section.holds("profile") {
            section
                .report("`issuer` is missing; add the URL that is the claim `iss` of its tokens");
        }
        section.finish();
        let (issuer, url) = issuer.or(default)?;
        Some(Self {
            issuer,
            url,
            jwks_url,
            audience,
            id_token_audience,
            algorithms: algorithms.unwrap_or_else(|| Algorithm::ALL.to_vec()),
            clock_skew,
            keys,
            claims,
            grants,
            profile,
        })
    }
}

fn key_times(section: &mut Section<'_>) -> KeyTimes {
    let mut keys = KeyTimes {
        max_age: Duration::from_hours(1),
        hard_max_age: Duration::from_hours(24),
        pause: Duration::from_secs(10),
    };
    section.set("keys_max_age", &mut keys.max_age, values::timeout);
    section.set("keys_hard_max_age", &mut keys.hard_max_age, values::timeout);
    section.set("keys_pause", &mut keys.pause, values::timeout);
    if keys.hard_max_age < keys.max_age {
        section.report("`keys_hard_max_age` must not be shorter than `keys_max_age`");
    }
    keys
}

fn claim_names(section: &mut Section<'_>, profile: Option<&Profile>) -> ClaimNames {
    let claim = |section: &mut Section<'_>, key: &'static str, default: &str| {
        let named = section.text(key, name);
        let Some(profile) = profile else {
            return Some(named.unwrap_or_else(|| default.to_owned()));
        };
        if section.holds(key) {
            section.report(format!(
                "`{key}` must not be set with the profile {} or its issuer {}; remove it",
                profile.name, profile.issuer
            ));
        }
        None
    };
    ClaimNames {
        permissions: claim(section, "permissions_claim", "permissions"),
        groups: claim(section, "groups_claim", "groups"),
        email: section.text("email_claim", name).unwrap_or_else(|| {
            let default = profile.map_or("email", |profile| profile.email_claim);
            default.to_owned()
        }),
    }
}

impl Grants {
    /// Whether they say who of all users of a known issuer may call.
    fn names_users(&self, profile: &Profile) -> bool {
        let by_address = !self.emails.is_empty() || !self.domains.is_empty();
        by_address || (profile.knows_subjects && !self.subjects.is_empty())
    }

    fn read(section: &mut Section<'_>) -> Self {
        let permission = |text: &str| Ok(Permission::parse(text)?);
        let groups = section.lists("groups", permission);
        let emails = lower(section.lists("emails", permission));
        let domains = lower(section.lists("domains", permission));
        let subjects = section.lists("subjects", permission);
        for email in emails.keys() {
            if domain(email).is_none() {
                section.report(format!(
                    "`emails` has `{email}`, which is not an e-mail address; correct it"
                ));
            }
        }
        for domain in domains.keys() {
            if domain.is_empty() || domain.contains(['@', '*', ' ']) || domain.starts_with('.') {
                section.report(format!(
                    "`domains` has `{domain}`; expected what follows the @ of e-mail addresses, such as example.com"
                ));
            }
        }
        Self {
            groups,
            emails,
            domains,
            subjects,
        }
    }
}

fn lower(lists: BTreeMap<String, Vec<Permission>>) -> BTreeMap<String, Vec<Permission>> {
    let mut lowered = BTreeMap::<String, Vec<Permission>>::new();
    for (name, permissions) in lists {
        let name = name.to_ascii_lowercase();
        lowered.entry(name).or_default().extend(permissions);
    }
    lowered
}

/// What follows the @ of an address.
pub(super) fn domain(email: &str) -> Option<&str> {
    let (local, domain) = email.split_once('@')?;
    let is_plain = !local.is_empty()
        && !domain.is_empty()
        && !domain.contains('@')
        && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    is_plain.then_some(domain)
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("expected a text that is not empty".to_owned());
    }
    Ok(text.to_owned())
}

/// A larger difference is a fault of a clock.
fn clock(text: &str) -> Result<Duration, String> {
    match values::duration(text)? {
        skew if skew > Duration::from_mins(5) => {
            Err("it must be at most 5m; correct the clocks".to_owned())
        }
        skew => Ok(skew),
    }
}
