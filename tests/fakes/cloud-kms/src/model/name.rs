use std::fmt;

/// The name of a resource, relative to `/v1/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Location(String),
    KeyRing(String),
    CryptoKey(String),
    Version { key: String, id: u32 },
}

impl Name {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('/').collect();
        let ["projects", project, "locations", location, rest @ ..] = parts.as_slice() else {
            return None;
        };
        if !is_project(project) || !is_resource_id(location) {
            return None;
        }
        match rest {
            [] => Some(Self::Location(name.to_owned())),
            ["keyRings", ring] if is_resource_id(ring) => Some(Self::KeyRing(name.to_owned())),
            ["keyRings", ring, "cryptoKeys", key]
                if is_resource_id(ring) && is_resource_id(key) =>
            {
                Some(Self::CryptoKey(name.to_owned()))
            }
            ["keyRings", ring, "cryptoKeys", key, "cryptoKeyVersions", id]
                if is_resource_id(ring) && is_resource_id(key) =>
            {
                let (key, _) = name.split_once("/cryptoKeyVersions/")?;
                Some(Self::Version {
                    key: key.to_owned(),
                    id: id.parse().ok().filter(|id| *id > 0)?,
                })
            }
            _ => None,
        }
    }

    /// The key that it is, or is a version of.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::CryptoKey(key) | Self::Version { key, .. } => Some(key),
            Self::Location(_) | Self::KeyRing(_) => None,
        }
    }

    pub(crate) fn project(&self) -> String {
        let name = self.to_string();
        name.split('/').nth(1).unwrap_or_default().to_owned()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Location(name) | Self::KeyRing(name) | Self::CryptoKey(name) => f.write_str(name),
            Self::Version { key, id } => write!(f, "{key}/cryptoKeyVersions/{id}"),
        }
    }
}

/// `[a-zA-Z0-9_-]{1,63}`, as the reference has it for key rings and keys.
pub(crate) fn is_resource_id(id: &str) -> bool {
    (1..=63).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// Project ids may belong to a domain: `example.com:name`.
fn is_project(id: &str) -> bool {
    (1..=100).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_the_rest() {
        let version = "projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/12";
        let name = Name::parse(version).unwrap();
        assert_eq!(name.to_string(), version);
        assert_eq!(name.key(), version.strip_suffix("/cryptoKeyVersions/12"));
        assert_eq!(name.project(), "p");
        for bad in [
            "projects/p",
            "projects//locations/l",
            "projects/p/locations/l/keyRings/",
            "projects/p/locations/l/keyRings/a b",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/0",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/x",
        ] {
            assert_eq!(Name::parse(bad), None, "{bad}");
        }
    }
}
