//! Accounts of Google Cloud that a key is shared with.

/// Longer than any address.
const MAX_LEN: usize = 512;

const FORMS: &str = "expected the e-mail address of a service account, serviceAccount:EMAIL, user:EMAIL, group:EMAIL, \
                     domain:DOMAIN, or principal://…";

/// `text` with its kind, as IAM policies name it. An e-mail address alone is a service account.
pub(super) fn member(text: &str) -> Result<String, &'static str> {
    if ["allUsers", "allAuthenticatedUsers"].contains(&text) {
        return Err("this would let everybody use the key; name an account");
    }
    let (kind, name) = text.split_once(':').unwrap_or(("serviceAccount", text));
    let is_valid = match kind {
        "serviceAccount" => is_email(name) || is_kubernetes(name),
        "user" | "group" => is_email(name),
        "domain" => is_domain(name),
        "principal" | "principalSet" => name.starts_with("//iam.googleapis.com/") && is_plain(name),
        _ => false,
    };
    if is_valid {
        Ok(format!("{kind}:{name}"))
    } else {
        Err(FORMS)
    }
}

fn is_email(text: &str) -> bool {
    let name = |name: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+-'".contains(&byte);
        !name.is_empty() && name.bytes().all(allowed)
    };
    text.len() <= MAX_LEN
        && text
            .split_once('@')
            .is_some_and(|(user, host)| name(user) && is_domain(host))
}

/// A service account of GKE: `PROJECT.svc.id.goog[NAMESPACE/NAME]`.
fn is_kubernetes(text: &str) -> bool {
    let parts = text
        .strip_suffix(']')
        .and_then(|text| text.split_once(".svc.id.goog["));
    let Some((project, account)) = parts else {
        return false;
    };
    is_label(project)
        && account
            .split_once('/')
            .is_some_and(|(namespace, name)| is_label(namespace) && is_label(name))
}

fn is_domain(text: &str) -> bool {
    text.len() <= MAX_LEN && text.contains('.') && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.bytes().all(allowed)
}

fn is_plain(text: &str) -> bool {
    text.len() <= MAX_LEN && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_a_kind_and_a_name() {
        for (text, expected) in [
            (
                "a@p.iam.gserviceaccount.com",
                Some("serviceAccount:a@p.iam.gserviceaccount.com"),
            ),
            (
                "serviceAccount:p.svc.id.goog[ns/sa]",
                Some("serviceAccount:p.svc.id.goog[ns/sa]"),
            ),
            ("user:a.b@example.com", Some("user:a.b@example.com")),
            ("group:all@example.com", Some("group:all@example.com")),
            ("domain:example.com", Some("domain:example.com")),
            (
                "principal://iam.googleapis.com/projects/1/x",
                Some("principal://iam.googleapis.com/projects/1/x"),
            ),
            ("bob", None),
            ("user:bob", None),
            ("users:bob@example.com", None),
            ("allUsers", None),
            ("allAuthenticatedUsers", None),
            ("domain:example", None),
            ("user:a@b@example.com", None),
            ("user:a b@example.com", None),
            ("arn:aws:iam::111122223333:role/worker", None),
            ("", None),
        ] {
            assert_eq!(member(text).ok().as_deref(), expected, "{text}");
        }
    }
}
