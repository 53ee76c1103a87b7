//! What was done where a line does not follow the line before it.

use super::{
    ends::Ends,
    report::{FindingKind, Found},
    window::{AHEAD, Window},
};
use crate::{
    chain::{Hash, Head},
    error::AuditError,
    line::Line,
    read::RawLine,
};

/// Names what was done. `last` is the last line that follows; `line` does not follow it.
///
/// One edit breaks one link, or two that are beside each other. Which ones, and the numbers of the lines, tell the edit.
pub(super) fn diagnose(
    last: Head,
    raw: &RawLine,
    line: &Line,
    window: &mut Window,
    ends: &Ends,
) -> Result<Found, AuditError> {
    let here = (raw.file, raw.number);
    let own = Hash::of(&raw.bytes);
    let found = |kind, place, seq, message: &str| Found {
        kind,
        place,
        seq: Some(seq),
        message: message.to_owned(),
    };
    if let Some(seq) = window.seq_of(own) {
        let what = format!("this is a copy of line {seq}; it was added");
        return Ok(found(FindingKind::Inserted, here, line.seq, &what));
    }
    // Its number alone is wrong.
    if line.prev == last.hash {
        let what = "this line was changed after it was written";
        return Ok(found(FindingKind::Changed, here, last.seq + 1, what));
    }
    // The line that follows `last` is further ahead.
    if is_ahead(window, |ahead| ahead.prev == last.hash)? {
        let is_copy = window.is_ahead_again(raw)?;
        let found = if line.seq > last.seq + 1 && !is_copy {
            let what = format!(
                "line {} is here in place of line {}; lines were put into another order",
                line.seq,
                last.seq + 1
            );
            found(FindingKind::Reordered, here, line.seq, &what)
        } else {
            found(FindingKind::Inserted, here, line.seq, "this line was added")
        };
        return Ok(found);
    }
    // This line follows one that is further behind.
    if let Some(seq) = window.seq_of(line.prev)
        && let Some(added) = window.seen(seq + 1)
    {
        let what = "this line was added";
        return Ok(found(
            FindingKind::Inserted,
            added.place,
            added.head.seq,
            what,
        ));
    }
    if line.seq > last.seq + 1 {
        let what = match (last.seq + 1, line.seq - 1) {
            (first, end) if first == end => {
                format!("line {first} is missing before this one; it was removed")
            }
            (first, end) => {
                format!("lines {first} to {end} are missing before this one; they were removed")
            }
        };
        return Ok(found(FindingKind::Removed, here, last.seq + 1, &what));
    }
    if line.seq <= last.seq {
        return Ok(found(
            FindingKind::Inserted,
            here,
            line.seq,
            "this line was added",
        ));
    }
    // The number is right, and the link is not: one of the two lines was changed.
    let next = window.peek(0)?.and_then(RawLine::parse);
    let is_intact = match next {
        Some(next) => Some(next.prev == own),
        None => ends.confirms(Head::new(line.seq, own)),
    };
    let before = window.seen(last.seq).map(|seen| seen.place);
    Ok(match (is_intact, before) {
        (Some(true), Some(before)) => {
            let what = "this line was changed after it was written";
            found(FindingKind::Changed, before, last.seq, what)
        }
        (None, Some(before)) => {
            let what = "this line or the next one was changed after it was written";
            found(FindingKind::Changed, before, last.seq, what)
        }
        _ => {
            let what = "this line was changed after it was written";
            found(FindingKind::Changed, here, line.seq, what)
        }
    })
}

fn is_ahead(window: &mut Window, is_it: impl Fn(&Line) -> bool) -> Result<bool, AuditError> {
    for index in 0..AHEAD {
        match window.peek(index)? {
            None => return Ok(false),
            Some(ahead) if ahead.parse().is_some_and(|ahead| is_it(&ahead)) => return Ok(true),
            Some(_) => {}
        }
    }
    Ok(false)
}
