//! Roles by namespace, written as `NAMESPACE:ROLE`.

use std::collections::BTreeMap;

use temporal_kms_codec::Namespace;

use super::role::{Role, Roles};

/// The namespace that means all of them, as in Temporal's own permissions.
const SYSTEM: &str = "temporal-system";

/// The most namespaces that one token gives roles in.
const MOST_NAMESPACES: usize = 10_000;

/// Roles in all namespaces and in single ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    system: Roles,
    namespaces: BTreeMap<Namespace, Roles>,
}

impl Permissions {
    /// Every role in every namespace.
    #[must_use]
    pub fn all() -> Self {
        Self {
            system: Roles::ALL,
            namespaces: BTreeMap::new(),
        }
    }

    /// The roles in `namespace`.
    #[must_use]
    pub fn roles(&self, namespace: &Namespace) -> Roles {
        let mut roles = self.system;
        roles.extend(self.namespaces.get(namespace).copied().unwrap_or_default());
        roles
    }

    /// The roles in every namespace.
    #[must_use]
    pub fn everywhere(&self) -> Roles {
        self.system
    }

    /// Whether there is a role in any namespace.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.system == Roles::default() && self.namespaces.is_empty()
    }

    /// Adds a permission.
    pub fn insert(&mut self, permission: &Permission) {
        let Some(namespace) = &permission.namespace else {
            self.system.insert(permission.role);
            return;
        };
        if let Some(roles) = self.namespaces.get_mut(namespace) {
            roles.insert(permission.role);
        } else if self.namespaces.len() < MOST_NAMESPACES {
            let roles = Roles::from_iter([permission.role]);
            self.namespaces.insert(namespace.clone(), roles);
        }
    }
}

impl<'p> Extend<&'p Permission> for Permissions {
    fn extend<I: IntoIterator<Item = &'p Permission>>(&mut self, permissions: I) {
        permissions
            .into_iter()
            .for_each(|permission| self.insert(permission));
    }
}

impl<'p> FromIterator<&'p Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = &'p Permission>>(permissions: I) -> Self {
        let mut all = Self::default();
        all.extend(permissions);
        all
    }
}

/// A role in one namespace, or in all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    namespace: Option<Namespace>,
    role: Role,
}

impl Permission {
    /// Reads `NAMESPACE:ROLE`, or `temporal-system:ROLE` for all namespaces. The first colon separates the two, as in
    /// Temporal's default claim mapper, so `a:b:admin` is not a permission.
    ///
    /// # Errors
    /// What is wrong with it, for the user.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some((namespace, role)) = text.split_once(':') else {
            return Err("expected NAMESPACE:ROLE, such as payments:read");
        };
        let role = Role::named(role)
            .ok_or("expected NAMESPACE:ROLE with the role read, write, worker or admin")?;
        let namespace = match namespace {
            SYSTEM => None,
            "*" => {
                return Err(
                    "`*` is not a namespace; write temporal-system:ROLE for all namespaces",
                );
            }
            name => Some(
                Namespace::new(name)
                    .map_err(|_| "expected the name of a namespace before the colon")?,
            ),
        };
        Ok(Self { namespace, role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(texts: &[&str]) -> Permissions {
        let read: Vec<Permission> = texts
            .iter()
            .filter_map(|text| Permission::parse(text).ok())
            .collect();
        read.iter().collect()
    }

    fn roles(permissions: &Permissions, namespace: &str) -> Vec<Role> {
        let namespace = Namespace::new(namespace).unwrap();
        permissions.roles(&namespace).iter().collect()
    }

    #[test]
    fn a_role_is_for_its_namespace_and_a_system_role_for_all() {
        let one = permissions(&["payments:read", "payments:worker", "orders.a1b2c:WRITE"]);
        assert_eq!(roles(&one, "payments"), [Role::Read, Role::Worker]);
        assert_eq!(roles(&one, "orders.a1b2c"), [Role::Write]);
        assert_eq!(roles(&one, "Payments"), []);
        let all = permissions(&["temporal-system:read", "payments:admin"]);
        assert_eq!(roles(&all, "payments"), [Role::Read, Role::Admin]);
        assert_eq!(roles(&all, "anything"), [Role::Read]);
        assert!(permissions(&[]).is_empty());
    }

    #[test]
    fn odd_texts_give_no_role() {
        for odd in [
            "",
            ":",
            "read",
            "a:",
            ":admin",
            "*:admin",
            "a:b:admin",
            "a:*",
            "a:read ",
            "a: read",
            "a:read,admin",
            "a\n:read",
            "temporal-system",
            "temporal-system:",
            "temporal-system:b:admin",
        ] {
            assert!(Permission::parse(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_huge_list_is_bounded() {
        let read: Vec<Permission> = (0..MOST_NAMESPACES + 5)
            .map(|number| Permission::parse(&format!("n{number}:read")).unwrap())
            .collect();
        let all: Permissions = read.iter().collect();
        assert_eq!(all.namespaces.len(), MOST_NAMESPACES);
    }
}
