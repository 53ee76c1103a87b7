//! Issuers that are known beforehand, by `profile` of `[auth.issuers.NAME]` or by their URL.
//!
//! Everybody can get a token of these issuers, so a configuration has to say who may call.

use serde_json::{Map, Value};

/// Domains of addresses that belong to Google alone. `gserviceaccount.com` counts with all domains below it.
const GOOGLE_MAIL: &str = "gmail.com";
const GOOGLE_ACCOUNTS: &str = "gserviceaccount.com";

/// What is known of an issuer.
#[derive(Debug)]
pub(super) struct Profile {
    /// Its name in the configuration.
    pub(super) name: &'static str,
    pub(super) issuer: &'static str,
    pub(super) jwks_url: &'static str,
    /// The audience of its tokens. `None`: each service has its own.
    pub(super) audience: Option<&'static str>,
    pub(super) email_claim: &'static str,
    /// Whether `subjects` are enough to say who may call.
    pub(super) knows_subjects: bool,
    /// What to say when nobody may call.
    pub(super) nobody: &'static str,
    vouches: fn(&Map<String, Value>, &str) -> bool,
}

static TEMPORAL_CLOUD: Profile = Profile {
    name: "temporal-cloud",
    issuer: "https://login.tmprl.cloud/",
    jwks_url: "https://login.tmprl.cloud/.well-known/jwks.json",
    audience: Some("https://saas-api.tmprl.cloud"),
    email_claim: "https://saas-api.tmprl.cloud/user/email",
    knows_subjects: false,
    nobody: "every customer of Temporal Cloud has tokens of this issuer with this audience. Add the tables `emails` or \
             `domains` with the users who may call, such as domains = { \"example.com\" = [\"payments.a1b2c:read\"] }",
    vouches: |_, _| true,
};

static GOOGLE: Profile = Profile {
    name: "google",
    issuer: "https://accounts.google.com",
    jwks_url: "https://www.googleapis.com/oauth2/v3/certs",
    audience: None,
    email_claim: "email",
    knows_subjects: true,
    nobody: "every Google account can get a token of this issuer for every audience. Add the tables `emails`, `domains` or \
             `subjects` with the accounts that may call, such as emails = { \"client@project.iam.gserviceaccount.com\" = \
             [\"default:write\"] }",
    vouches: google_vouches,
};

static KNOWN: [&Profile; 2] = [&TEMPORAL_CLOUD, &GOOGLE];

impl Profile {
    /// The profile of this name.
    ///
    /// # Errors
    /// The names that there are.
    pub(super) fn of(name: &str) -> Result<&'static Self, String> {
        let found = KNOWN.into_iter().find(|profile| profile.name == name);
        found.ok_or_else(|| {
            "it must be `temporal-cloud` or `google`; remove it for other issuers".to_owned()
        })
    }

    /// The profile of the issuer with this URL. A configuration may name the issuer, and not the profile.
    pub(super) fn of_issuer(issuer: &str) -> Option<&'static Self> {
        KNOWN.into_iter().find(|profile| profile.issuer == issuer)
    }

    /// Whether the issuer answers for the address in a token: that it belongs to this user today.
    pub(super) fn vouches(&self, claims: &Map<String, Value>, domain: &str) -> bool {
        (self.vouches)(claims, domain)
    }
}

/// As Google documents it: an address at Gmail or of a service account is Google's own, and an address of a Workspace account
/// has the claim `hd`. People can open a Google account with any other address, and keep the account when they lose the
/// address. <https://developers.google.com/identity/gsi/web/guides/verify-google-id-token>
fn google_vouches(claims: &Map<String, Value>, domain: &str) -> bool {
    let is_verified = claims.get("email_verified").and_then(Value::as_bool);
    let is_hosted = claims.get("hd").and_then(Value::as_str);
    let is_account = domain == GOOGLE_ACCOUNTS
        || domain
            .strip_suffix(GOOGLE_ACCOUNTS)
            .is_some_and(|rest| rest.ends_with('.'));
    is_verified == Some(true)
        && (domain == GOOGLE_MAIL || is_account || is_hosted.is_some_and(|hd| !hd.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn google_answers_for_its_own_addresses_and_for_those_of_its_customers() {
        for (domain, more, expected) in [
            ("gmail.com", json!({"email_verified": true}), true),
            (
                "p.iam.gserviceaccount.com",
                json!({"email_verified": true}),
                true,
            ),
            ("gserviceaccount.com", json!({"email_verified": true}), true),
            (
                "example.com",
                json!({"email_verified": true, "hd": "example.com"}),
                true,
            ),
            ("example.com", json!({"email_verified": true}), false),
            (
                "example.com",
                json!({"email_verified": true, "hd": ""}),
                false,
            ),
            (
                "example.com",
                json!({"email_verified": true, "hd": null}),
                false,
            ),
            (
                "evilgserviceaccount.com",
                json!({"email_verified": true}),
                false,
            ),
            (
                "gmail.com.evil.example",
                json!({"email_verified": true}),
                false,
            ),
            ("gmail.com", json!({}), false),
            ("gmail.com", json!({"email_verified": "true"}), false),
            ("gmail.com", json!({"email_verified": false}), false),
            (
                "example.com",
                json!({"email_verified": false, "hd": "example.com"}),
                false,
            ),
        ] {
            let claims = more.as_object().unwrap();
            assert_eq!(google_vouches(claims, domain), expected, "{domain} {more}");
        }
    }
}
