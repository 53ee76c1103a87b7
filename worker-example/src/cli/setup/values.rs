//! Values of `setup`. They become arguments of another program, so each has a strict form.

use std::time::Duration;

use temporal_kms_codec_service::units;
use url::Url;

/// The longest time that logs are kept.
const LONGEST: Duration = Duration::from_hours(3650 * 24);
/// The longest name or address that is accepted.
const MAX: usize = 1024;

/// The name of a resource: letters, digits, `-`, `_` and `.`, and a letter or digit first.
pub(super) fn name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !starts || text.len() > 63 || !text.bytes().all(plain) {
        return Err(
            "expected a name of at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit first"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// The id of a project, also of an old one with a domain: `example.com:my-project`.
pub(super) fn project(text: &str) -> Result<String, String> {
    let (domain, id) = text.split_once(':').unwrap_or(("d", text));
    name(domain).and_then(|_| name(id))?;
    Ok(text.to_owned())
}

/// A member of an IAM policy: `user:…`, `group:…`, `serviceAccount:…`, `principal:…` or `principalSet:…`.
pub(super) fn member(text: &str) -> Result<String, String> {
    let kinds = [
        "user",
        "group",
        "serviceAccount",
        "principal",
        "principalSet",
    ];
    let is_known = text
        .split_once(':')
        .is_some_and(|(kind, who)| kinds.contains(&kind) && !who.is_empty());
    if !is_known || !is_word(text) {
        return Err("expected a member such as user:ann@example.com or serviceAccount:NAME@PROJECT.iam.gserviceaccount.com".to_owned());
    }
    Ok(text.to_owned())
}

/// An e-mail address.
pub(super) fn email(text: &str) -> Result<String, String> {
    let has_parts = text
        .split_once('@')
        .is_some_and(|(user, domain)| !user.is_empty() && domain.contains('.'));
    if !has_parts || text.matches('@').count() != 1 || !is_word(text) {
        return Err("expected an e-mail address".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}

/// An address, or the name of an image: one word.
pub(super) fn word(text: &str) -> Result<String, String> {
    if text.starts_with('-') || !is_word(text) {
        return Err("expected one word of letters, digits and -_.:/@+".to_owned());
    }
    Ok(text.to_owned())
}

/// The URL of the service, without a path.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let url: Option<Url> = text.parse().ok().filter(|_| is_word(text));
    url.filter(|url| url.scheme() == "https" && url.path() == "/" && url.query().is_none())
        .map(|url| url.origin().ascii_serialization())
        .ok_or_else(|| "expected a URL such as https://tasks.example.com".to_owned())
}

/// Whole days, such as `30d`. A number without a unit is accepted as days, because the option was `--log-retention-days` before.
pub(super) fn days(text: &str) -> Result<u16, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let unit = if is_number { "d" } else { "" };
    let time = units::time_above_zero(&format!("{text}{unit}"), LONGEST)?;
    let days = u16::try_from(time.as_secs() / (24 * 60 * 60)).ok();
    days.filter(|days| Duration::from_hours(24 * u64::from(*days)) == time)
        .ok_or_else(|| "expected whole days, such as 30d".to_owned())
}

/// No space, quote, separator or `$`: neither a shell nor gcloud's lists nor TOML read it as something else.
fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@+".contains(&byte);
    !text.is_empty() && text.len() <= MAX && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_kept_for_whole_days() {
        assert_eq!(days("30d"), Ok(30));
        assert_eq!(days("48h"), Ok(2));
        assert_eq!(days("90"), Ok(90));
        for text in ["", "0", "0d", "36h", "11y", "5 lots"] {
            assert!(days(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_becomes_an_option_a_list_or_a_reference() {
        for text in [
            "",
            "-x",
            "--project=y",
            "a b",
            "a,b",
            "a|b",
            "$(id)",
            "a'b",
            "a\nb",
        ] {
            assert!(name(text).is_err(), "{text}");
            assert!(project(text).is_err(), "{text}");
            assert!(member(text).is_err(), "{text}");
            assert!(email(text).is_err(), "{text}");
            assert!(word(text).is_err(), "{text}");
            assert!(origin(text).is_err(), "{text}");
        }
        assert!(member("allUsers").is_err());
        assert!(member("user:a@b.c,user:d@e.f").is_err());
        assert!(email("a@b.c\"]").is_err());
        assert!(origin("http://tasks.example.com").is_err());
        assert!(project("example.com:my-project").is_ok());
        assert_eq!(email("Ann@Example.com").as_deref(), Ok("ann@example.com"));
        assert_eq!(
            origin("https://tasks.example.com/").as_deref(),
            Ok("https://tasks.example.com")
        );
    }
}
