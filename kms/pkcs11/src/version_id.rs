//! `CKA_ID`s of the versions of a key: UUIDs of version 7 (RFC 9562), which show their age.
//!
//! Keys of other programs have other ids. They count as older than any UUID, and are ordered as numbers.

use std::{
    cmp::Ordering,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use uuid::{Builder, Uuid};

use super::error::Failure;
use temporal_kms::{ProviderErrorKind as Kind, support::random};

/// Compares the age of two versions.
pub(super) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    fn rank(id: &[u8]) -> (bool, usize, &[u8]) {
        let zeros = id.iter().take_while(|&&byte| byte == 0).count();
        let number = id.get(zeros..).unwrap_or_default();
        (milliseconds(id).is_some(), number.len(), number)
    }
    rank(a).cmp(&rank(b))
}

/// When a version was created, if its id shows it.
pub(super) fn created(id: &[u8]) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds(id)?))
}

/// An id that is newer than `newest`, even if the clock was set back.
pub(super) fn next(newest: Option<&[u8]>, now: SystemTime) -> Result<Vec<u8>, Failure> {
    let now = now
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let after = newest.and_then(milliseconds).map_or(0, |newest| newest + 1);
    let mut random = [0; 10];
    random::fill_from_system(&mut random)
        .map_err(|_| Failure::new(Kind::Unavailable, "the operating system gave no randomness"))?;
    let id = Builder::from_unix_timestamp_millis(now.max(after), &random).into_uuid();
    Ok(id.as_bytes().to_vec())
}

/// The 48 bits of a version 7 UUID that are its time.
fn milliseconds(id: &[u8]) -> Option<u64> {
    let uuid = Uuid::from_slice(id).ok()?;
    (uuid.get_version_num() == 7).then(|| {
        let [time @ .., _, _] = uuid.as_u64_pair().0.to_be_bytes();
        time.iter()
            .fold(0, |time, &byte| time << 8 | u64::from(byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_id_is_newer_than_all_others_even_when_the_clock_went_back() {
        let now = UNIX_EPOCH + Duration::from_hours(500_000);
        let first = next(None, now).unwrap();
        assert_eq!(created(&first), Some(now));
        let second = next(Some(&first), now - Duration::from_hours(1)).unwrap();
        assert!(compare(&second, &first).is_gt());
        assert_eq!(created(&second), Some(now + Duration::from_millis(1)));
        // Other programs use SHA-1 digests, for example.
        assert!(compare(&first, &[0xFF; 20]).is_gt());
    }

    #[test]
    fn ids_of_other_programs_are_numbers() {
        let mut ids = [&b"\x02\x00"[..], b"\x10", b"", b"\x00\x11", b"\x01"];
        ids.sort_by(|a, b| compare(a, b));
        assert_eq!(ids, [&b""[..], b"\x01", b"\x10", b"\x00\x11", b"\x02\x00"]);
        assert_eq!(created(b"\x01"), None);
    }
}
