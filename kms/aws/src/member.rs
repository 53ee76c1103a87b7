//! Accounts, users and roles of AWS that a key is shared with.

/// The longest ARN of a role, with the longest path and name.
const MAX_LEN: usize = 512;

/// `text` as an ARN. The id of an account becomes the whole account, in the partition of `region`.
pub(super) fn member(text: &str, region: Option<&str>) -> Result<String, &'static str> {
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
    if is_valid && text.len() <= MAX_LEN && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(
        "expected an account id, or the ARN of a user or role, such as arn:aws:iam::111122223333:role/worker",
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/worker";

    #[test]
    fn members_are_arns_or_ids_of_accounts() {
        let root = |partition| format!("arn:{partition}:iam::111122223333:root");
        for (region, partition) in [
            (None, "aws"),
            (Some("eu-west-1"), "aws"),
            (Some("cn-north-1"), "aws-cn"),
            (Some("us-gov-west-1"), "aws-us-gov"),
        ] {
            assert_eq!(member("111122223333", region), Ok(root(partition)));
        }
        assert_eq!(member(ROLE, None).as_deref(), Ok(ROLE));
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
            assert!(member(bad, None).is_err(), "{bad}");
        }
    }
}
