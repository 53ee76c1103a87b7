//! Callers that are known by their connection: `[auth.certificates.NAME]` and `[auth.peers.NAME]`.

use std::{
    collections::{BTreeMap, HashMap},
    time::SystemTime,
};

use nix::unistd::User;

use super::{
    certificate::{CertificateName, ClientCertificate},
    identity::{Identity, Method},
    permissions::{Permission, Permissions},
    presented::UnixPeer,
    refused::Refused,
};
use crate::settings::{Fault, Section};

/// `[auth.certificates.NAME]`: a caller with a client certificate.
#[derive(Clone, Debug)]
pub(super) struct CertificateConfig {
    /// `names`: one of them must be in the certificate.
    pub(super) names: Vec<CertificateName>,
    /// `permissions`.
    permissions: Vec<Permission>,
}

/// `[auth.peers.NAME]`: a caller at the other end of a Unix socket.
#[derive(Clone, Debug)]
pub(super) struct PeerConfig {
    /// `users`: names or numbers of users.
    pub(super) users: Vec<String>,
    /// `permissions`.
    permissions: Vec<Permission>,
}

impl CertificateConfig {
    /// `None` when it has mistakes, which are reported.
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let names = section.list("names", |text| Ok(CertificateName::parse(text)?));
        let permissions = permissions(&mut section);
        if !section.holds("names") || names.as_ref().is_some_and(Vec::is_empty) {
            section.report("`names` is empty; add a name of the certificate, such as names = [\"dns:worker.example.com\"]");
        }
        section.finish();
        Some(Self {
            names: names?,
            permissions: permissions?,
        })
    }
}

impl PeerConfig {
    /// `None` when it has mistakes, which are reported.
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let user = |text: &str| match text {
            "" => Err("expected the name or the number of a user".to_owned()),
            user => Ok(user.to_owned()),
        };
        let users = section.list("users", user);
        let permissions = permissions(&mut section);
        if !section.holds("users") || users.as_ref().is_some_and(Vec::is_empty) {
            section.report("`users` is empty; add the name or the number of a user, such as users = [\"temporal\"]");
        }
        section.finish();
        Some(Self {
            users: users?,
            permissions: permissions?,
        })
    }
}

fn permissions(section: &mut Section<'_>) -> Option<Vec<Permission>> {
    let permissions = section.list("permissions", |text| Ok(Permission::parse(text)?));
    if !section.holds("permissions") || permissions.as_ref().is_some_and(Vec::is_empty) {
        section.report("`permissions` is empty; add what the caller may do, such as permissions = [\"payments:read\"]");
    }
    permissions
}

/// The callers with certificates. Each name belongs to one caller.
#[derive(Debug, Default)]
pub(super) struct Certificates(HashMap<CertificateName, Identity>);

impl Certificates {
    pub(super) fn new<'c>(
        configs: impl IntoIterator<Item = (&'c String, &'c CertificateConfig)>,
    ) -> Self {
        let mut callers = HashMap::new();
        for (name, config) in configs {
            let permissions: Permissions = config.permissions.iter().collect();
            let identity = Identity::new(name, Method::Certificate, permissions);
            let names = config.names.iter().cloned();
            callers.extend(names.map(|name| (name, identity.clone())));
        }
        Self(callers)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The caller with the first name that the configuration knows.
    pub(super) fn find(
        &self,
        certificate: &ClientCertificate,
        now: SystemTime,
    ) -> Result<Identity, Refused> {
        if certificate.has_expired(now) {
            return Err(Refused::ExpiredCertificate);
        }
        let found = certificate.names().find_map(|name| self.0.get(name));
        found.cloned().ok_or(Refused::Certificate)
    }
}

/// The number that the system shows for users who are not known in this user namespace (`/proc/sys/kernel/overflowuid`).
const UNMAPPED: u32 = 65534;

/// The callers at Unix sockets, by the number of their user.
#[derive(Debug, Default)]
pub(super) struct Peers(HashMap<u32, Identity>);

impl Peers {
    /// Looks the users up.
    ///
    /// # Errors
    /// The users that do not exist, and those that two callers have.
    pub(super) fn open(configs: &BTreeMap<String, PeerConfig>) -> Result<Self, Vec<Fault>> {
        let (mut callers, mut faults) = (HashMap::new(), Vec::new());
        for (name, config) in configs {
            let permissions: Permissions = config.permissions.iter().collect();
            let identity = Identity::new(name, Method::UnixSocket, permissions);
            let setting = format!("auth.peers.{name}.users");
            for user in &config.users {
                match number(user) {
                    Some(UNMAPPED) => faults.push(Fault::new(&setting, format!("`{user}` is the number {UNMAPPED}, which the system also shows for every user of another user namespace; name another user"))),
                    None => faults.push(Fault::new(&setting, format!("there is no user `{user}` on this machine; create it or correct the name"))),
                    Some(uid) if callers.insert(uid, identity.clone()).is_some() => {
                        faults.push(Fault::new(&setting, format!("user `{user}` is listed twice; remove it from one of the sections")));
                    }
                    Some(_) => {}
                }
            }
        }
        if faults.is_empty() {
            Ok(Self(callers))
        } else {
            Err(faults)
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn find(&self, peer: UnixPeer) -> Result<Identity, Refused> {
        if peer.uid == UNMAPPED {
            return Err(Refused::UnmappedPeer);
        }
        self.0.get(&peer.uid).cloned().ok_or(Refused::Peer)
    }
}

fn number(user: &str) -> Option<u32> {
    if let Ok(uid) = user.parse() {
        return Some(uid);
    }
    User::from_name(user)
        .ok()
        .flatten()
        .map(|user| user.uid.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(users: &[&str]) -> BTreeMap<String, PeerConfig> {
        let config = PeerConfig {
            users: users.iter().map(|user| (*user).to_owned()).collect(),
            permissions: vec![Permission::parse("a:read").unwrap()],
        };
        BTreeMap::from([("local".to_owned(), config)])
    }

    #[test]
    fn a_peer_is_known_by_its_user() {
        let peers = Peers::open(&peers(&["root", "12345"])).unwrap();
        for uid in [0, 12345] {
            let found = peers.find(UnixPeer { uid, gid: 7 }).unwrap();
            assert_eq!(
                (found.subject(), found.method()),
                ("local", Method::UnixSocket)
            );
        }
        let other = peers.find(UnixPeer { uid: 1, gid: 0 });
        assert_eq!(other.unwrap_err(), Refused::Peer);
    }

    /// In a user namespace, every user who is not mapped has this number.
    #[test]
    fn nobody_is_not_a_user() {
        for user in ["nobody", "65534"] {
            let faults = Peers::open(&peers(&[user])).unwrap_err();
            assert!(
                faults[0].message.contains("another user namespace"),
                "{faults:?}"
            );
        }
        let unmapped = UnixPeer {
            uid: 65534,
            gid: 65534,
        };
        let refused = Peers::open(&peers(&["root"])).unwrap().find(unmapped);
        assert_eq!(refused.unwrap_err(), Refused::UnmappedPeer);
    }

    #[test]
    fn users_that_do_not_exist_or_are_there_twice_are_faults() {
        let faults = Peers::open(&peers(&["no-such-user", "root", "0"])).unwrap_err();
        let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        assert!(
            messages[0].contains("no user `no-such-user`"),
            "{messages:?}"
        );
        assert!(messages[1].contains("listed twice"), "{messages:?}");
    }
}
