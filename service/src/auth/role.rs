//! What a caller may do: roles as Temporal names them, and the operations that they allow.

use std::fmt;

/// A role in a namespace, as in the permissions of Temporal's own tokens.
///
/// One role does not include another one: `admin` alone shows no plaintext. Give `read` to every person who may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// `read`: may see plaintext.
    Read = 1,
    /// `write`: may encrypt.
    Write = 1 << 1,
    /// `worker`: may encrypt.
    Worker = 1 << 2,
    /// `admin`: may encrypt, and may manage the server.
    Admin = 1 << 3,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Worker, Self::Admin];

    /// The role's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Worker => "worker",
            Self::Admin => "admin",
        }
    }

    /// The role of this name. Temporal compares names without regard to case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let is_it = |role: &Self| role.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(is_it)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of roles.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// Every role.
    pub const ALL: Self = Self(0b1111);

    /// Adds a role.
    pub fn insert(&mut self, role: Role) {
        self.0 |= role as u8;
    }

    /// Adds the roles of another set.
    pub fn extend(&mut self, others: Self) {
        self.0 |= others.0;
    }

    /// Whether the set has a role.
    #[must_use]
    pub const fn has(self, role: Role) -> bool {
        self.0 & role as u8 != 0
    }

    /// Whether the set has at least one of these roles.
    #[must_use]
    pub fn has_any(self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.has(*role))
    }

    /// The roles of the set.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        let mut set = Self::default();
        roles.into_iter().for_each(|role| set.insert(role));
        set
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What a caller asks for, and the roles of which one is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Action {
    name: &'static str,
    roles: &'static [Role],
}

impl Action {
    /// Encrypt payloads.
    pub const ENCODE: Self = Self::new("encode", &[Role::Write, Role::Worker, Role::Admin]);
    /// See plaintext.
    pub const DECODE: Self = Self::new("decode", &[Role::Read]);
    /// See the plaintext of a payload that is stored outside of Temporal.
    pub const DOWNLOAD: Self = Self::new("download", &[Role::Read]);

    /// An action of a server. One of `roles` allows it.
    #[must_use]
    pub const fn new(name: &'static str, roles: &'static [Role]) -> Self {
        Self { name, roles }
    }

    /// Its name, for messages and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The roles of which one is enough.
    #[must_use]
    pub const fn roles(self) -> &'static [Role] {
        self.roles
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_needs_read_and_encrypting_needs_another_role() {
        let allowed = |action: Action| -> Vec<Role> {
            let allows = |role: &Role| Roles::from_iter([*role]).has_any(action.roles());
            Role::ALL.into_iter().filter(allows).collect()
        };
        assert_eq!(allowed(Action::DECODE), [Role::Read]);
        assert_eq!(allowed(Action::DOWNLOAD), [Role::Read]);
        let encoders = [Role::Write, Role::Worker, Role::Admin];
        assert_eq!(allowed(Action::ENCODE), encoders);
        assert!(Roles::default().iter().next().is_none());
        assert_eq!(Roles::from_iter(Role::ALL), Roles::ALL);
    }

    #[test]
    fn names_are_read_in_any_case() {
        for role in Role::ALL {
            assert_eq!(Role::named(&role.name().to_uppercase()), Some(role));
        }
        for other in ["", "reader", "read ", "b:admin", "*"] {
            assert_eq!(Role::named(other), None, "{other}");
        }
    }
}
