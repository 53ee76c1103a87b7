//! A process that is copied after it has begun to seal: message ids and nonces must not repeat.
//!
//! `fork` is allowed only while a process has one thread, and the test harness has several. So this is a program of its
//! own.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test"
)]

use std::{fs, path::Path};

use fork::{Fork, fork, waitpid};
use futures::executor::block_on;
use temporal_kms_codec::{Codec, EncryptionContext, Format, Namespace, Payload, Sealer};
use temporal_kms_local::LocalKeyring;

fn main() {
    ids_stay_unique_after_fork();
    println!("two copies of a process sealed under different ids");
}

fn ids_stay_unique_after_fork() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = LocalKeyring::open(folder.path())
        .key_or_create("k")
        .expect("a key");
    let codec = |format| {
        Codec::builder(Namespace::new("n").expect("a name"))
            .encrypt_with(key.clone())
            .format(format)
            .build()
            .expect("a codec")
    };
    let (v2, v1) = (codec(Format::Envelope), codec(Format::EnvelopeV1));
    let sealer = Sealer::builder().encrypt_with(key.clone());
    let sealer = sealer.build().expect("a sealer");
    let pairs = [("purpose".to_owned(), "test".to_owned())];
    let context = EncryptionContext::new(pairs.into()).expect("a context");
    let draw = || Ids {
        message_id: seal(&v2)[2..34].to_vec(),
        nonce: seal(&v1)[..12].to_vec(),
        iv: block_on(sealer.seal(b"x", &context)).expect("sealed").iv,
    };

    // Both processes have this generator and these data keys, and go on from here.
    let before = draw();
    let childs = folder.path().join("childs-ids");
    match fork().expect("a second process") {
        Fork::Child => {
            draw().write(&childs);
            #[expect(
                clippy::disallowed_methods,
                reason = "a forked child must not run the parent's tests"
            )]
            std::process::exit(0);
        }
        Fork::Parent(child) => {
            let ids = draw();
            waitpid(child).expect("the second process ends");
            let childs = Ids::read(&childs);
            for (here, there) in [
                (&ids.message_id, &childs.message_id),
                (&ids.nonce, &childs.nonce),
                (&ids.iv, &childs.iv),
            ] {
                assert_ne!(here, there, "an id repeats in the other process");
            }
            assert_ne!(ids.message_id, before.message_id);
        }
    }
}

struct Ids {
    message_id: Vec<u8>,
    nonce: Vec<u8>,
    iv: Vec<u8>,
}

impl Ids {
    fn write(&self, file: &Path) {
        let ids = [&*self.message_id, &self.nonce, &self.iv].concat();
        fs::write(file, ids).expect("written");
    }

    fn read(file: &Path) -> Self {
        let ids = fs::read(file).expect("the second process wrote its ids");
        assert_eq!(ids.len(), 32 + 12 + 12);
        Self {
            message_id: ids[..32].to_vec(),
            nonce: ids[32..44].to_vec(),
            iv: ids[44..].to_vec(),
        }
    }
}

fn seal(codec: &Codec) -> Vec<u8> {
    let payload = Payload {
        data: b"secret".to_vec(),
        ..Payload::default()
    };
    let sealed = block_on(codec.encode(vec![payload])).expect("sealed");
    sealed.into_iter().next().expect("one payload").data
}
