//! Accounts that a key is shared with, in the form of the key's service.

use temporal_kms_codec::{KeyUri, Scheme};

/// The longest ARN of a role, with the longest path and name.
const MAX_LEN: usize = 512;

/// `text` in the form of the key's service. Short forms are completed: an e-mail address is a service account of
/// Google Cloud, an account id is the whole account at AWS.
///
/// # Errors
/// When the service has no accounts of this form.
pub(super) fn member(key: &KeyUri, region: Option<&str>, text: &str) -> Result<String, String> {
    match key.scheme() {
        Scheme::GCP_KMS => of_google(text),
        Scheme::AWS_KMS => of_aws(text, region),
        // These services have no accounts, and their errors say so.
        _ => Ok(text.to_owned()),
    }
}

fn of_google(text: &str) -> Result<String, String> {
    const FORMS: &str = "expected the e-mail address of a service account, serviceAccount:EMAIL, user:EMAIL, group:EMAIL, \
                         domain:DOMAIN, or principal://…";
    if ["allUsers", "allAuthenticatedUsers"].contains(&text) {
        return Err("this would let everybody use the key; name an account".to_owned());
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
        Err(FORMS.to_owned())
    }
}

fn of_aws(text: &str, region: Option<&str>) -> Result<String, String> {
    if is_account(text) {
        let partition = match region {
            Some(region) if region.starts_with("cn-") => "aws-cn",
            Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        return Ok(format!("arn:{partition}:iam::{text}:root"));
    }
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let is_valid = matches!(
        parts.as_slice(),
        ["arn", partition, "iam" | "sts", "", account, resource]
            if partition.starts_with("aws") && is_account(account) && is_principal(resource)
    );
    if is_valid && is_plain(text) {
        Ok(text.to_owned())
    } else {
        Err(
            "expected an account id, or the ARN of a user or role, such as arn:aws:iam::111122223333:role/worker"
                .to_owned(),
        )
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_principal(resource: &str) -> bool {
    let kinds = ["role/", "user/", "assumed-role/", "federated-user/"];
    let is_named = |kind| {
        resource
            .strip_prefix(kind)
            .is_some_and(|name: &str| !name.is_empty())
    };
    resource == "root" || kinds.into_iter().any(is_named)
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

    const ROLE: &str = "arn:aws:iam::111122223333:role/worker";

    #[test]
    fn accounts_of_google_have_a_kind_and_a_name() {
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
            (ROLE, None),
            ("", None),
        ] {
            assert_eq!(of_google(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn accounts_of_aws_are_arns_or_ids() {
        let root = |partition| format!("arn:{partition}:iam::111122223333:root");
        for (region, partition) in [
            (None, "aws"),
            (Some("eu-west-1"), "aws"),
            (Some("cn-north-1"), "aws-cn"),
            (Some("us-gov-west-1"), "aws-us-gov"),
        ] {
            assert_eq!(of_aws("111122223333", region), Ok(root(partition)));
        }
        assert_eq!(of_aws(ROLE, None).as_deref(), Ok(ROLE));
        for bad in [
            "bob",
            "a@p.iam.gserviceaccount.com",
            "11112222333",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:group/admins",
            "arn:aws:s3::111122223333:role/worker",
            "arn:aws:iam::1:role/worker",
            "",
        ] {
            assert!(of_aws(bad, None).is_err(), "{bad}");
        }
    }
}
