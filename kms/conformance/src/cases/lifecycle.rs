//! Creating, rotating, disabling and destroying keys.

use temporal_kms::{
    Dek, EncryptionContext, KeyProvider, KeyPurpose, KeySpec, KeyState, ProviderErrorKind as Kind,
    WrappedDek,
};

use crate::{
    Unit,
    suite::{Suite, context, kind},
};

/// A destroyed version is distinguished from an altered ciphertext. A key that is destroyed as a whole is reported as
/// disabled first.
const fn lost(unit: Unit) -> Kind {
    match unit {
        Unit::Key => Kind::KeyDisabled,
        Unit::Version => Kind::KeyVersionGone,
    }
}

/// A service that destroys only whole keys reports that.
const fn unknown_version(unit: Unit) -> Kind {
    match unit {
        Unit::Key => Kind::Unsupported,
        Unit::Version => Kind::KeyNotFound,
    }
}

/// After a rotation the new version encrypts, and older versions still decrypt.
pub async fn rotation_keeps_what_is_old(suite: &Suite) {
    let key = suite.create("k").await;
    let (uri, admin) = (suite.uri("k"), suite.admin().await);
    let (old, old_direct) = (
        wrap(&*key, 1).await,
        key.encrypt(b"old").await.expect("encrypted"),
    );
    let first = admin.versions(&uri).await.expect("versions");
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].state, KeyState::Enabled);

    admin.rotate(&uri).await.expect("rotated");
    let versions = admin.versions(&uri).await.expect("versions");
    assert_eq!(versions.len(), 2);
    assert_eq!(versions[1].id, first[0].id, "the newest comes first");
    let details = admin.details(&uri).await.expect("details");
    assert_eq!(
        details.primary.expect("a primary version").id,
        versions[0].id
    );

    let new = wrap(&*key, 2).await;
    assert_eq!(unwrap(&*key, &old).await, Ok(1));
    assert_eq!(unwrap(&*key, &new).await, Ok(2));
    let opened = key.decrypt(&old_direct).await.expect("decrypted");
    assert_eq!(opened.as_slice(), b"old");
    // A new process opens both.
    let another = suite.open("k").await;
    assert_eq!(unwrap(&*another, &old).await, Ok(1));
    assert_eq!(unwrap(&*another, &new).await, Ok(2));
}

/// A disabled version or key does not decrypt until it is enabled again.
pub async fn what_is_disabled_does_nothing(suite: &Suite) {
    let key = suite.create("k").await;
    let (uri, admin) = (suite.uri("k"), suite.admin().await);
    let old = wrap(&*key, 1).await;
    let disabled = match suite.unit() {
        Unit::Key => None,
        Unit::Version => {
            let versions = admin.versions(&uri).await.expect("versions");
            admin.rotate(&uri).await.expect("rotated");
            Some(versions[0].id.clone())
        }
    };
    let disabled = disabled.as_deref();
    admin.disable(&uri, disabled).await.expect("disabled");
    assert_eq!(unwrap(&*key, &old).await, Err(Kind::KeyDisabled));
    let states = admin.versions(&uri).await.expect("versions");
    assert_eq!(states.last().expect("a version").state, KeyState::Disabled);
    match suite.unit() {
        Unit::Key => {
            let context = EncryptionContext::empty();
            assert_eq!(kind(key.generate_dek(&context).await), Kind::KeyDisabled);
            assert_eq!(kind(key.encrypt(b"x").await), Kind::KeyDisabled);
            assert_eq!(kind(key.check_usable().await), Kind::KeyDisabled);
        }
        // Data keys that the new version wrapped do not need the old version.
        Unit::Version => {
            let new = wrap(&*key, 2).await;
            assert_eq!(unwrap(&*key, &new).await, Ok(2));
        }
    }
    admin.enable(&uri, disabled).await.expect("enabled");
    assert_eq!(unwrap(&*key, &old).await, Ok(1));
}

/// Ciphertexts of a destroyed version or key do not open.
pub async fn what_is_destroyed_is_lost(suite: &Suite) {
    let key = suite.create("k").await;
    let (uri, admin) = (suite.uri("k"), suite.admin().await);
    let old = wrap(&*key, 1).await;
    match suite.unit() {
        Unit::Key => {
            let when = admin.destroy(&uri, None).await.expect("scheduled");
            assert!(when.is_some(), "it can be taken back until then");
            assert_eq!(kind(key.encrypt(b"x").await), Kind::KeyDisabled);
        }
        Unit::Version => {
            let versions = admin.versions(&uri).await.expect("versions");
            admin.rotate(&uri).await.expect("rotated");
            let destroyed = admin.destroy(&uri, Some(&versions[0].id)).await;
            destroyed.expect("destroyed");
            let new = wrap(&*key, 2).await;
            assert_eq!(unwrap(&*key, &new).await, Ok(2));
        }
    }
    let refused = unwrap(&*key, &old).await.expect_err("it is lost");
    assert_eq!(refused, lost(suite.unit()));
    // The error names the key or its file.
    let unknown = admin.destroy(&uri, Some("no-such-version")).await;
    let unknown = unknown.expect_err("the version does not exist");
    assert_eq!(unknown.kind(), unknown_version(suite.unit()));
    assert!(!unknown.is_key_missing(), "{unknown}");
    assert_eq!(unknown.to_string().matches("; ").count(), 1, "{unknown}");
}

/// A key is created once, for one purpose, and the list shows this purpose. A service need not sign.
pub async fn a_key_is_made_once_and_listed(suite: &Suite) {
    let admin = suite.admin().await;
    let mut created = Vec::new();
    for (name, purpose) in [("one", KeyPurpose::Encrypt), ("two", KeyPurpose::SignP256)] {
        let spec = KeySpec::default().with_purpose(purpose);
        let made = match admin.create(&suite.uri(name), &spec).await {
            Err(error) if purpose != KeyPurpose::Encrypt && error.kind() == Kind::Unsupported => {
                continue;
            }
            made => made.expect("made"),
        };
        assert_eq!(made.purpose, purpose);
        created.push(purpose);
        // At Cloud KMS only keys that encrypt have a primary version.
        if let Some(primary) = made.primary {
            assert_eq!(primary.state, KeyState::Enabled);
        }
        let versions = admin.versions(&suite.uri(name)).await.expect("versions");
        let states: Vec<_> = versions.iter().map(|version| version.state).collect();
        assert_eq!(states, [KeyState::Enabled]);
        assert_eq!(
            kind(admin.create(&suite.uri(name), &spec).await),
            Kind::AlreadyExists
        );
    }
    let listed = admin.list(&suite.uri("any")).await.expect("a list");
    let mut purposes: Vec<_> = listed.iter().map(|key| key.purpose).collect();
    purposes.sort_by_key(|purpose| *purpose != KeyPurpose::Encrypt);
    assert_eq!(purposes, created);
}

async fn wrap(key: &dyn KeyProvider, byte: u8) -> WrappedDek {
    let wrapped = key.wrap(&Dek::new([byte; 32]), &binding()).await;
    wrapped.expect("wrapped")
}

async fn unwrap(key: &dyn KeyProvider, wrapped: &WrappedDek) -> Result<u8, Kind> {
    match key.unwrap(wrapped, &binding()).await {
        Ok(dek) => Ok(dek.expose()[0]),
        Err(error) => Err(kind(Err::<(), _>(error))),
    }
}

fn binding() -> EncryptionContext {
    context(&[("namespace", "a")])
}
