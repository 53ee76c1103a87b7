//! Names of keys at AWS KMS.
//!
//! Source: "Key identifiers" (`KeyId`) in the AWS KMS Developer Guide.

use std::fmt;

use temporal_kms::{KeyUri, ProviderError, ProviderErrorKind as Kind, Scheme, support::is_region};

const MULTI_REGION_PREFIX: &str = "mrk-";

/// A key's name in a [`KeyUri`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyName {
    Arn(Arn),
    /// A name within the caller's own account.
    Short {
        /// `alias/NAME` or `key/ID`.
        resource: String,
        /// The region, if the name holds it.
        region: Option<String>,
    },
}

impl KeyName {
    pub(super) fn of(uri: &KeyUri) -> Result<Self, ProviderError> {
        let name = match uri.scheme() {
            Scheme::AWS_KMS => Arn::parse(uri.resource())
                .map(Self::Arn)
                .or_else(|| Self::short(uri.resource())),
            _ => None,
        };
        name.ok_or_else(|| {
            ProviderError::new(Kind::Misconfigured, uri)
                .with_detail(
                    "its name is not in one of the forms arn:aws:kms:REGION:ACCOUNT:key/ID, arn:aws:kms:REGION:ACCOUNT:alias/NAME or alias/NAME",
                )
                .with_remedy("correct its name")
        })
    }

    fn short(name: &str) -> Option<Self> {
        let (name, region) = match name.split_once("?region=") {
            Some((name, region)) => (name, Some(region.to_owned())),
            None => (name, None),
        };
        let resource = if is_alias(name) {
            name.to_owned()
        } else {
            format!("key/{name}")
        };
        let valid = is_alias(name) || (!name.starts_with("arn:") && is_made_of(name, b"-"));
        valid.then_some(Self::Short { resource, region })
    }

    /// The region in the name.
    pub(super) fn region(&self) -> Option<&str> {
        match self {
            Self::Arn(arn) => Some(&arn.region),
            Self::Short { region, .. } => region.as_deref(),
        }
    }

    /// The alias without account and region, if the name is an alias.
    pub(super) fn alias(&self) -> Option<&str> {
        Some(self.resource()).filter(|resource| is_alias(resource))
    }

    /// The key, if the name is the ARN of a multi-region key.
    pub(super) fn multi_region(&self) -> Option<&Arn> {
        match self {
            Self::Arn(arn) if arn.is_multi_region() => Some(arn),
            _ => None,
        }
    }

    /// Whether `other` names the same key as this name does in `region`. A multi-region key is the same in all its
    /// regions. A name without an account means the caller's account. A name without a region means `default_region`.
    pub(super) fn is_alias_of(
        &self,
        region: &str,
        other: &Self,
        default_region: Option<&str>,
    ) -> bool {
        let same_owner = match (self.owner(), other.owner()) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        };
        self.resource() == other.resource()
            && same_owner
            && (is_multi_region(self.resource())
                || other.region().or(default_region) == Some(region))
    }

    /// Whether `answer`, the ARN of the key that was used in `region`, is the requested key. Only the service knows
    /// which key an alias names. For a key in the caller's own account, some servers answer only the id.
    pub(super) fn is_answered_by(&self, answer: &str, region: &str) -> bool {
        let asked = self.resource();
        if is_made_of(answer, b"-") {
            return is_alias(asked) || asked.strip_prefix("key/") == Some(answer);
        }
        let Some(answer) = Arn::parse(answer).filter(|arn| !arn.is_alias()) else {
            return false;
        };
        let owner = Some((answer.partition.as_str(), answer.account.as_str()));
        (is_alias(asked) || asked == answer.resource)
            && answer.region == self.region().unwrap_or(region)
            && (self.owner().is_none() || self.owner() == owner)
    }

    /// `key/ID` or `alias/NAME`.
    fn resource(&self) -> &str {
        match self {
            Self::Arn(arn) => &arn.resource,
            Self::Short { resource, .. } => resource,
        }
    }

    /// Partition and account, if the name holds them.
    fn owner(&self) -> Option<(&str, &str)> {
        match self {
            Self::Arn(arn) => Some((&arn.partition, &arn.account)),
            Self::Short { .. } => None,
        }
    }
}

/// The `KeyId` for AWS KMS.
impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arn(arn) => arn.fmt(f),
            Self::Short { resource, .. } => {
                f.write_str(resource.strip_prefix("key/").unwrap_or(resource))
            }
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
        is_multi_region(&self.resource)
    }

    /// The related key of another region. ARNs of a multi-region key differ only in the region.
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

fn is_multi_region(resource: &str) -> bool {
    resource
        .strip_prefix("key/")
        .is_some_and(|id| id.starts_with(MULTI_REGION_PREFIX))
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
        KeyName::of(&KeyUri::new(Scheme::AWS_KMS, resource).unwrap())
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
            "arn:aws:s3:eu-west-1:111122223333:key/a",
            "arn:gcp:kms:eu-west-1:111122223333:key/a",
            "arn:aws:kms:eu-west-1:111122223333:grant/a",
            "alias/",
        ] {
            assert_eq!(name(bad).unwrap_err().kind(), Kind::Misconfigured, "{bad}");
        }
        for bad in [
            "arn:aws:kms:evil.example/:111122223333:key/a",
            "arn:aws:kms:eu-west-1.evil:111122223333:key/a",
            "alias/a:b",
        ] {
            assert!(KeyUri::new(Scheme::AWS_KMS, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn short_names_tell_their_region_or_leave_it_to_the_options() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        for (written, sent, region) in [
            ("alias/a", "alias/a", None),
            ("alias/a?region=eu-west-1", "alias/a", Some("eu-west-1")),
            (id, id, None),
            (&format!("{id}?region=eu-west-1"), id, Some("eu-west-1")),
        ] {
            let name = name(written).unwrap();
            assert_eq!(name.to_string(), sent);
            assert_eq!(name.region(), region);
        }
    }

    #[test]
    fn one_key_is_known_by_all_its_names() {
        let mrk = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
        let sibling = mrk.replace("eu-west-1", "us-west-2");
        let id = KEY.rsplit('/').next().unwrap();
        for (configured, named, expected) in [
            (KEY, KEY.to_owned(), true),
            (KEY, KEY.replace("eu-west-1", "us-west-2"), false),
            (KEY, KEY.replace("1111", "9999"), false),
            (KEY, id.to_owned(), true),
            (KEY, format!("{id}?region=us-west-2"), false),
            (KEY, "alias/a".to_owned(), false),
            (mrk, sibling.clone(), true),
            (&sibling, mrk.to_owned(), true),
            (mrk, sibling.replace("1111", "9999"), false),
            (mrk, sibling.replace("arn:aws:", "arn:aws-cn:"), false),
            (mrk, sibling.replace("mrk-1", "mrk-2"), false),
            ("alias/a", "alias/a?region=eu-west-1".to_owned(), true),
            ("alias/a?region=eu-west-1", "alias/a".to_owned(), true),
            ("alias/a", "alias/a?region=us-west-2".to_owned(), false),
            ("alias/team/workflows", ALIAS.to_owned(), true),
            ("alias/a", ALIAS.to_owned(), false),
            (ALIAS, ALIAS.replace("eu-west-1", "us-west-2"), false),
        ] {
            let (own, other) = (name(configured).unwrap(), name(&named).unwrap());
            let region = own.region().unwrap_or("eu-west-1").to_owned();
            let same = own.is_alias_of(&region, &other, Some("eu-west-1"));
            assert_eq!(same, expected, "{configured} {named}");
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
