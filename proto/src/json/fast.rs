//! The straight way through a body in the form that clients send: `{"payloads":[{"metadata":{…},"data":"…"}]}`.
//!
//! It knows objects, lists and plain strings, and gives up at everything else: escapes, `null`, unknown or repeated fields,
//! externally stored parts, a body above a limit, and every mistake. Then [`read`](super::read) reads the body from its
//! start, so a body means the same either way, and its errors are told in one place.
//!
//! A large body is in parts, because memory that grows is copied. Only data go over from one part to the next. A body that is cut
//! elsewhere is put together first.

use std::{mem, sync::Arc};

use memchr::memchr2;
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    base64::{decode_base64, decode_base64_in_pieces},
    limits::{Limits, MAX_METADATA},
};
use crate::{Metadata, SharedPayload};

/// The payloads of a body, or `None` when the body must be read the other way.
pub(super) fn payloads(body: &[u8], limits: &Limits) -> Option<Vec<SharedPayload>> {
    payloads_in_parts(&[body], limits, &mut None)
}

/// As [`payloads`], for a body in parts. `None` also when it is cut elsewhere than in the data of a payload.
///
/// `last` are metadata that were read before, in their text. Then they are the last ones of this body.
pub(super) fn payloads_in_parts<'b>(
    parts: &'b [&'b [u8]],
    limits: &Limits,
    last: &mut Last<'b>,
) -> Option<Vec<SharedPayload>> {
    let (rest, later) = parts.split_first()?;
    let mut reader = Reader { rest, later };
    reader.token(b'{')?;
    reader.name(br#""payloads""#)?;
    let mut payloads = list(&mut reader, limits.max_payloads, last)?;
    let is_whole = reader.token(b'}').is_some();
    reader.skip_space();
    if is_whole && reader.rest.is_empty() && reader.later.is_empty() {
        return Some(payloads);
    }
    erase(&mut payloads);
    None
}

fn list<'b>(
    reader: &mut Reader<'b>,
    limit: usize,
    last: &mut Last<'b>,
) -> Option<Vec<SharedPayload>> {
    reader.token(b'[')?;
    let mut payloads: Vec<SharedPayload> = Vec::new();
    if reader.token(b']').is_some() {
        return Some(payloads);
    }
    loop {
        if payloads.len() == limit {
            erase(&mut payloads);
            return None;
        }
        let more = payload(reader, last).and_then(|payload| {
            payloads.push(payload);
            reader.has_next(b']')
        });
        match more {
            Some(true) => {}
            Some(false) => return Some(payloads),
            None => {
                erase(&mut payloads);
                return None;
            }
        }
    }
}

/// Erases what was read in vain: the other way decodes it again, and it can be plaintext.
fn erase(payloads: &mut [SharedPayload]) {
    for payload in payloads {
        payload.data.zeroize();
    }
}

/// The text of the last metadata, and what they are.
pub type Last<'b> = Option<(&'b [u8], Arc<Metadata>)>;

fn payload<'b>(reader: &mut Reader<'b>, last: &mut Last<'b>) -> Option<SharedPayload> {
    reader.token(b'{')?;
    let (mut metadata, mut data) = (None, None);
    if reader.token(b'}').is_none() {
        loop {
            reader.skip_space();
            if data.is_none() && reader.name(br#""data""#).is_some() {
                data = Some(Zeroizing::new(reader.data()?));
            } else if metadata.is_none() && reader.name(br#""metadata""#).is_some() {
                reader.skip_space();
                metadata = Some(match last {
                    Some((text, same)) if reader.skip(text) => Arc::clone(same),
                    _ => {
                        let text = reader.rest;
                        let read = Arc::new(read_metadata(reader)?);
                        let text = text.get(..text.len() - reader.rest.len())?;
                        *last = Some((text, Arc::clone(&read)));
                        read
                    }
                });
            } else {
                return None;
            }
            if !reader.has_next(b'}')? {
                break;
            }
        }
    }
    let metadata = metadata.unwrap_or_default();
    let data = data.map_or_else(Vec::new, |mut data| mem::take(&mut *data));
    Some(SharedPayload::new(metadata, data))
}

fn read_metadata(reader: &mut Reader<'_>) -> Option<Metadata> {
    reader.token(b'{')?;
    let mut metadata = Metadata::new();
    if reader.token(b'}').is_some() {
        return Some(metadata);
    }
    loop {
        let name = reader.string()?;
        // JSON has control characters in escaped form only.
        if metadata.len() == MAX_METADATA || name.iter().any(|byte| *byte < b' ') {
            return None;
        }
        let name = std::str::from_utf8(name).ok()?.to_owned();
        reader.token(b':')?;
        let value = decode_base64(reader.string()?)?;
        if metadata.insert(name, value).is_some() {
            return None;
        }
        if !reader.has_next(b'}')? {
            return Some(metadata);
        }
    }
}

/// What is left of the body: the rest of a part, and the parts behind it.
struct Reader<'b> {
    rest: &'b [u8],
    later: &'b [&'b [u8]],
}

impl<'b> Reader<'b> {
    /// Skips the whitespace of JSON (RFC 8259, section 2).
    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Skips one byte, and the whitespace before it.
    fn token(&mut self, token: u8) -> Option<()> {
        self.skip_space();
        let (first, rest) = self.rest.split_first()?;
        (*first == token).then(|| self.rest = rest)
    }

    /// Whether a comma follows, or the end of the list or object.
    fn has_next(&mut self, end: u8) -> Option<bool> {
        self.skip_space();
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        match *first {
            b',' => Some(true),
            first if first == end => Some(false),
            _ => None,
        }
    }

    /// Skips `text` when it follows and is not empty.
    fn skip(&mut self, text: &[u8]) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) if !text.is_empty() => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Skips the name of a member, with its quotes, and the colon after it. Nothing is skipped without the colon, because
    /// other names are tried then.
    fn name(&mut self, quoted: &[u8]) -> Option<()> {
        self.skip_space();
        let before = self.rest;
        let is_member = self.skip(quoted) && self.token(b':').is_some();
        if !is_member {
            self.rest = before;
        }
        is_member.then_some(())
    }

    /// The content of a string without escapes.
    fn string(&mut self) -> Option<&'b [u8]> {
        self.token(b'"')?;
        self.text(end_of_text(self.rest)?)
    }

    /// The bytes that a string is in base64. It may go over into later parts.
    fn data(&mut self) -> Option<Vec<u8>> {
        self.token(b'"')?;
        if let Some(end) = end_of_text(self.rest) {
            return decode_base64(self.text(end)?);
        }
        let mut pieces = vec![self.rest];
        loop {
            (self.rest, self.later) = self
                .later
                .split_first()
                .map(|(part, later)| (*part, later))?;
            if let Some(end) = end_of_text(self.rest) {
                pieces.push(self.text(end)?);
                return decode_base64_in_pieces(&pieces);
            }
            pieces.push(self.rest);
        }
    }

    /// The text before `end`, where a quote must be.
    fn text(&mut self, end: usize) -> Option<&'b [u8]> {
        let (text, rest) = self.rest.split_at_checked(end)?;
        let (quote, rest) = rest.split_first()?;
        self.rest = rest;
        (*quote == b'"').then_some(text)
    }
}

/// Where a string ends, or has an escape.
fn end_of_text(rest: &[u8]) -> Option<usize> {
    memchr2(b'"', b'\\', rest)
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*, sample::select};

    use super::*;
    use crate::{
        Payload,
        json::{read::parse_any_payloads, write_payloads},
    };

    const LIMITS: Limits = Limits { max_payloads: 3 };

    fn read_bytes(body: &[u8]) -> Option<Vec<Payload>> {
        let shared = payloads(body, &LIMITS)?;
        Some(
            shared
                .into_iter()
                .map(SharedPayload::into_payload)
                .collect(),
        )
    }

    fn read(body: &str) -> Option<Vec<Payload>> {
        read_bytes(body.as_bytes())
    }

    #[test]
    fn the_forms_of_clients_are_read_the_straight_way() {
        for usual in [
            r#"{"payloads":[]}"#,
            r#"{"payloads":[{}]}"#,
            r#"{"payloads":[{"metadata":{},"data":""}]}"#,
            r#"{"payloads":[{"metadata":{"encoding":"anNvbi9wbGFpbg=="},"data":"MQ=="}]}"#,
            r#"{"payloads":[{"data":"MQ==","metadata":{"encoding":"anNvbi9wbGFpbg"}}]}"#,
            "{ \"payloads\" : [\n {\t\"metadata\" : { \"a\" : \"QQ==\" , \"b\":\"_w\" }\r } , {} ] } \n",
        ] {
            assert!(read(usual).is_some(), "{usual}");
        }
    }

    #[test]
    fn everything_else_is_left_to_the_other_reader() {
        for other in [
            "",
            "{}",
            r#"{"payloads":null}"#,
            r#"{"payloads":[null]}"#,
            r#"{"payloads":[{"metadata":null}]}"#,
            r#"{"payloads":[{"data":null}]}"#,
            r#"{"payloads":[{"data":"\u0051Q=="}]}"#,
            r#"{"payloads":[{"metadata":{"\u0061":"QQ=="}}]}"#,
            r#"{"payloads":[{"externalPayloads":[]}]}"#,
            r#"{"payloads":[{"unknown":"QQ=="}]}"#,
            r#"{"payloads":[{"data":"","data":""}]}"#,
            r#"{"payloads":[{"metadata":{"a":"","a":""}}]}"#,
            r#"{"payloads":[{},{},{},{}]}"#,
            r#"{"payloads":[{},]}"#,
            r#"{"payloads":[{"data""metadata":{}}]}"#,
            r#"{"payloads":[{"metadata""data":""}]}"#,
            r#"{"payloads":[{"data""data":""}]}"#,
            r#"{"payloads""payloads":[]}"#,
            r#"{"payloads":[{"metadata":{"a""a":""}}]}"#,
            r#"{"payloads":[{}],"more":1}"#,
            r#"{"payloads":[{}]}}"#,
            "{\"payloads\":[{\"metadata\":{\"a\nb\":\"\"}}]}",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
        let entries: Vec<_> = (0..=MAX_METADATA).map(|n| format!(r#""{n}":"""#)).collect();
        let body = |entries: &[String]| {
            format!(
                r#"{{"payloads":[{{"metadata":{{{}}}}}]}}"#,
                entries.join(",")
            )
        };
        assert!(read(&body(&entries[1..])).is_some());
        assert_eq!(read(&body(&entries)), None);
    }

    #[test]
    fn metadata_are_those_of_the_payload_itself() {
        let body = r#"{"payloads":[{"metadata":{"a":"QQ=="}},{},{"metadata":{"a":"QQ=="}}]}"#;
        let read = read(body).unwrap();
        assert_eq!(read[0], read[2]);
        assert!(read[1].metadata.is_empty());
    }

    #[test]
    fn data_go_over_from_one_part_to_the_next() {
        let data = vec![7; 1000];
        let payload = Payload {
            data: data.clone(),
            ..Payload::default()
        };
        let body = write_payloads(&[payload.clone(), payload]);
        let second = body.len() / 2 + 100;
        for cuts in [
            vec![50],
            vec![50, 51, 60],
            vec![50, 700, 701, second, second + 300],
        ] {
            let read = payloads_in_parts(&cut(&body, &cuts), &LIMITS, &mut None).unwrap();
            assert_eq!(read.len(), 2);
            assert!(read.iter().all(|payload| payload.data == data), "{cuts:?}");
        }
    }

    fn cut<'b>(body: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.min(&body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect()
    }

    proptest! {
        /// A body in parts means what it means in one, or is put together.
        #[test]
        fn parts_mean_what_the_whole_means(
            metadata in collection::btree_map("[a-z]{1,6}", collection::vec(any::<u8>(), 0..9), 0..3),
            data in collection::vec(any::<u8>(), 0..300),
            count in 0usize..4,
            cuts in collection::vec(0usize..1200, 0..6),
            damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut body = write_payloads(&vec![Payload { metadata, data, external_payloads: vec![] }; count]);
            if let Some((at, byte)) = damage {
                let at = at.index(body.len());
                body[at] = byte;
            }
            let whole = payloads(&body, &LIMITS);
            if let Some(read) = payloads_in_parts(&cut(&body, &cuts), &LIMITS, &mut None) {
                prop_assert_eq!(Some(&read), whole.as_ref());
            }
            // What is known from another body changes nothing.
            let (text, known) = (br#"{"a":"QQ=="}"#, Metadata::from([("a".to_owned(), b"A".to_vec())]));
            let mut last: Last<'_> = Some((&text[..], Arc::new(known)));
            let parts = [body.as_slice()];
            prop_assert_eq!(&payloads_in_parts(&parts, &LIMITS, &mut last), &whole);
            prop_assert_eq!(&payloads_in_parts(&parts, &LIMITS, &mut last), &whole);
        }

        /// What is read the straight way is what the other reader reads.
        #[test]
        fn both_ways_agree(
            parts in collection::vec(select(vec![
                "{", "}", "[", "]", ":", ",", "\"payloads\":[{\"metadata\":{", "\"data\"", "\"metadata\"", "\"encoding\":\"QQ==\"",
                "\"metadata\":{\"a\":\"QQ==\"}", "},{", "}]}", "{\"payloads\":[{", "\"b\":\"_-8\"", "null", "\"QQ==\"",
                "\"\"", " ", "\n", "1", "\\", "\"\\u0061\"", "\u{1}", "é",
            ]), 0..16),
            is_begun in any::<bool>(),
        ) {
            let begin = if is_begun { "{\"payloads\":[{" } else { "" };
            let end = if is_begun { "}]}" } else { "" };
            let body = [begin, &parts.concat(), end].concat();
            if let Some(fast) = read(&body) {
                let slow = parse_any_payloads(body.as_bytes(), &LIMITS).map(|all| all.payloads);
                prop_assert_eq!(Ok(fast), slow);
            }
        }

        /// What is written is read the straight way, and damage to it is read in the same way by both or by one only.
        #[test]
        fn written_bodies_are_read_and_damaged_ones_alike(
            names in collection::vec("[a-z-]{1,6}|.{0,3}", 0..4),
            data in collection::vec(any::<u8>(), 0..70),
            count in 0usize..4,
            (at, byte) in (any::<prop::sample::Index>(), any::<u8>()),
        ) {
            let metadata: Metadata = names.into_iter().map(|name| (name, data.clone())).collect();
            let is_plain = count == 0 || metadata.keys().all(|name| !name.contains(['"', '\\']) && !name.contains(|c| c < ' '));
            let all = vec![Payload { metadata, data, external_payloads: vec![] }; count];
            let mut body = write_payloads(&all);
            prop_assert_eq!(read_bytes(&body), is_plain.then_some(all));
            let at = at.index(body.len());
            body[at] = byte;
            if let Some(fast) = read_bytes(&body) {
                let slow = parse_any_payloads(&body, &LIMITS).map(|all| all.payloads);
                prop_assert_eq!(Ok(fast), slow);
            }
        }
    }
}
