//! What AWS KMS calls keys.
//!
//! Source: "Key identifiers" (`KeyId`) in the AWS KMS Developer Guide.

use std::fmt;

use crate::{
    KeyUri, KmsKind,
    kms::{ProviderError, ProviderErrorKind as Kind},
};

const MULTI_REGION_PREFIX: &str = "mrk-";

/// A key's name as a [`KeyUri`] has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyName {
    Arn(Arn),
    /// An alias (`alias/NAME`) of whichever account and region the caller is in.
    Alias(String),
}

impl KeyName {
    pub(super) fn of(uri: &KeyUri) -> Result<Self, ProviderError> {
        let resource = uri.resource();
        let name = match uri.kms() {
            KmsKind::AwsKms if is_alias(resource) => Some(Self::Alias(resource.to_owned())),
            KmsKind::AwsKms => Arn::parse(resource).map(Self::Arn),
            _ => None,
        };
        name.ok_or_else(|| {
            ProviderError::new(Kind::Misconfigured, uri).with_detail(
                "its form is arn:aws:kms:REGION:ACCOUNT:key/ID, arn:aws:kms:REGION:ACCOUNT:alias/NAME or alias/NAME",
            )
        })
    }

    /// The region that the name itself tells.
    pub(super) fn region(&self) -> Option<&str> {
        match self {
            Self::Arn(arn) => Some(&arn.region),
            Self::Alias(_) => None,
        }
    }

    /// The alias without account and region, if it is one.
    pub(super) fn alias(&self) -> Option<&str> {
        match self {
            Self::Alias(alias) => Some(alias),
            Self::Arn(arn) => arn.is_alias().then_some(arn.resource.as_str()),
        }
    }

    /// The key that it is, if it is the ARN of a multi-region key.
    pub(super) fn multi_region(&self) -> Option<&Arn> {
        match self {
            Self::Arn(arn) if arn.is_multi_region() => Some(arn),
            _ => None,
        }
    }

    /// Whether `answer`, the ARN of the key that was used in `region`, is what was asked for. Which key an alias stands
    /// for is the service's to know. Of a key in the caller's own account some servers answer the id alone.
    pub(super) fn is_answered_by(&self, answer: &str, region: &str) -> bool {
        if !answer.is_empty() && is_made_of(answer, b"-") {
            return match self {
                Self::Arn(asked) => {
                    asked.is_alias() || asked.resource.strip_prefix("key/") == Some(answer)
                }
                Self::Alias(_) => true,
            };
        }
        let Some(answer) = Arn::parse(answer).filter(|arn| !arn.is_alias()) else {
            return false;
        };
        match self {
            Self::Arn(asked) if asked.is_alias() => {
                asked.partition == answer.partition
                    && asked.account == answer.account
                    && asked.region == answer.region
            }
            Self::Arn(asked) => *asked == answer,
            Self::Alias(_) => answer.region == region,
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arn(arn) => arn.fmt(f),
            Self::Alias(alias) => f.write_str(alias),
        }
    }
}

/// `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`, or `…:alias/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arn {
    partition: String,
    region: String,
    account: String,
    /// `key/ID` or `alias/NAME`.
    resource: String,
}

impl Arn {
    pub(super) fn parse(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let mut next = || parts.next();
        let (
            Some("arn"),
            Some(partition),
            Some("kms"),
            Some(region),
            Some(account),
            Some(resource),
        ) = (next(), next(), next(), next(), next(), next())
        else {
            return None;
        };
        let is_key = resource
            .strip_prefix("key/")
            .is_some_and(|id| is_made_of(id, b"-"));
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let valid = partition.starts_with("aws")
            && is_made_of(partition, b"-")
            && is_region(region)
            && is_account
            && (is_key || is_alias(resource));
        valid.then(|| Self {
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            resource: resource.to_owned(),
        })
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    pub(super) fn is_alias(&self) -> bool {
        is_alias(&self.resource)
    }

    pub(super) fn is_multi_region(&self) -> bool {
        self.resource
            .strip_prefix("key/")
            .is_some_and(|id| id.starts_with(MULTI_REGION_PREFIX))
    }

    /// The related key of another region: multi-region keys share everything but the region.
    pub(super) fn in_region(&self, region: &str) -> Self {
        Self {
            region: region.to_owned(),
            ..self.clone()
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            region,
            account,
            resource,
        } = self;
        write!(f, "arn:{partition}:kms:{region}:{account}:{resource}")
    }
}

/// Whether `region` can be the name of a region: it becomes part of a host name.
pub(super) fn is_region(region: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&region.len())
        && region.bytes().all(allowed)
        && !region.starts_with('-')
        && !region.ends_with('-')
}

fn is_alias(resource: &str) -> bool {
    resource
        .strip_prefix("alias/")
        .is_some_and(|name| name.len() <= 250 && is_made_of(name, b"/_-"))
}

fn is_made_of(text: &str, others: &[u8]) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    const MRK: &str = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-1234abcd";
    const ALIAS: &str = "arn:aws:kms:eu-west-1:111122223333:alias/team/workflows";

    fn name(resource: &str) -> Result<KeyName, ProviderError> {
        KeyName::of(&KeyUri::new(KmsKind::AwsKms, resource).unwrap())
    }

    #[test]
    fn reads_and_writes_every_form() {
        for form in [KEY, MRK, ALIAS, "alias/workflows"] {
            assert_eq!(name(form).unwrap().to_string(), form);
        }
        assert_eq!(name(KEY).unwrap().region(), Some("eu-west-1"));
        assert_eq!(name("alias/a").unwrap().region(), None);
        assert_eq!(name(ALIAS).unwrap().alias(), Some("alias/team/workflows"));
        assert!(name(KEY).unwrap().multi_region().is_none());
        let replica = name(MRK)
            .unwrap()
            .multi_region()
            .unwrap()
            .in_region("us-gov-east-1");
        assert_eq!(
            replica.to_string(),
            "arn:aws-us-gov:kms:us-gov-east-1:111122223333:key/mrk-1234abcd"
        );
    }

    #[test]
    fn refuses_what_is_no_name_of_a_key() {
        for bad in [
            "arn:aws:kms:eu-west-1:111122223333:key/",
            "arn:aws:kms:eu-west-1:111122223333:key/a/b",
            "arn:aws:kms:eu-west-1:1:key/a",
            "arn:aws:kms::111122223333:key/a",
            "arn:aws:kms:evil.example/:111122223333:key/a",
            "arn:aws:kms:eu-west-1.evil:111122223333:key/a",
            "arn:aws:s3:eu-west-1:111122223333:key/a",
            "arn:gcp:kms:eu-west-1:111122223333:key/a",
            "arn:aws:kms:eu-west-1:111122223333:grant/a",
            "alias/",
            "alias/a:b",
        ] {
            assert_eq!(name(bad).unwrap_err().kind(), Kind::Misconfigured, "{bad}");
        }
    }

    #[test]
    fn an_answer_has_to_be_of_the_key_that_was_asked_for() {
        let other = "arn:aws:kms:eu-west-1:111122223333:key/other";
        let elsewhere = KEY.replace("eu-west-1", "us-east-1");
        let stranger = KEY.replace("1111", "9999");
        for (asked, answer, expected) in [
            (KEY, KEY, true),
            (KEY, other, false),
            (KEY, &elsewhere, false),
            (KEY, ALIAS, false),
            (KEY, "", false),
            (ALIAS, KEY, true),
            (ALIAS, &elsewhere, false),
            (ALIAS, &stranger, false),
            ("alias/a", KEY, true),
            ("alias/a", &elsewhere, false),
            ("alias/a", "1234-abcd", true),
            (KEY, "1234-other", false),
            (KEY, KEY.rsplit('/').next().unwrap(), true),
        ] {
            let matches = name(asked).unwrap().is_answered_by(answer, "eu-west-1");
            assert_eq!(matches, expected, "{asked} {answer}");
        }
    }
}
