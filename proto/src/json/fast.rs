//! The straight way through a body in the form that clients send: `{"payloads":[{"metadata":{…},"data":"…"}]}`.
//!
//! It knows objects, lists and strings, and gives up at everything else: names with escapes, `null`, unknown or repeated fields,
//! externally stored parts, a body above a limit, and every mistake. Then [`read`](super::read) reads the body from its
//! start, so a body means the same either way, and its errors are told in one place.
//!
//! Some clients escape characters of base64: Gson writes `\u003d` for `=`, and PHP `\/` for `/`. The text without its escapes is
//! plaintext, so it is copied only in blocks that are erased.
//!
//! A large body is in parts, because memory that grows is copied. It may be cut anywhere.

use std::{borrow::Cow, collections::btree_map::Entry, iter, mem, sync::Arc};

use memchr::{memchr, memchr2};

use super::{
    base64::{PiecesDecoder, decode_any_base64, decode_base64_with_room, decode_usual_base64},
    limits::{Limits, MAX_METADATA},
};
use crate::{Data, Erase as _, Metadata, Plain, Room, SharedPayload};

/// The payloads of a body, or `None` when the body must be read the other way.
pub(super) fn payloads(body: &[u8], limits: &Limits) -> Option<Vec<SharedPayload>> {
    payloads_in_parts(&[body], limits, Room::default(), &mut None)
}

/// As [`payloads`], for a body in parts.
///
/// There is `room` around data that are not small. `last` are metadata that were read before, in their text. Then they are the
/// last ones of this body.
pub(super) fn payloads_in_parts<'b>(
    parts: &'b [&'b [u8]],
    limits: &Limits,
    room: Room,
    last: &mut Last<'b>,
) -> Option<Vec<SharedPayload>> {
    let mut reader = Reader {
        rest: &[],
        later: parts,
        last_data: 0,
    };
    // The other way reads again what is read in vain.
    let mut payloads = Plain::<Vec<SharedPayload>>::default();
    if body(&mut reader, limits, room, last, &mut payloads).is_some() {
        return Some(payloads.into_inner());
    }
    drop(payloads);
    // The last metadata were also here, so they are erased now. Metadata that the caller has elsewhere are left.
    if let Some((_, mut metadata)) = last.take() {
        metadata.erase();
    }
    None
}

fn body<'b>(
    reader: &mut Reader<'b>,
    limits: &Limits,
    room: Room,
    last: &mut Last<'b>,
    payloads: &mut Vec<SharedPayload>,
) -> Option<()> {
    reader.token(b'{')?;
    reader.name(br#""payloads""#)?;
    list(reader, limits, room, last, payloads)?;
    reader.token(b'}')?;
    reader.skip_space();
    reader.is_at_end().then_some(())
}

fn list<'b>(
    reader: &mut Reader<'b>,
    limits: &Limits,
    room: Room,
    last: &mut Last<'b>,
    payloads: &mut Vec<SharedPayload>,
) -> Option<()> {
    reader.token(b'[')?;
    if reader.token(b']').is_some() {
        return Some(());
    }
    loop {
        if payloads.len() == limits.max_payloads {
            return None;
        }
        payloads.push(payload(reader, room, last)?);
        if !reader.has_next(b']')? {
            return Some(());
        }
    }
}

/// The text of the last metadata, and what they are.
pub type Last<'b> = Option<(&'b [u8], Arc<Metadata>)>;

fn payload<'b>(reader: &mut Reader<'b>, room: Room, last: &mut Last<'b>) -> Option<SharedPayload> {
    reader.token(b'{')?;
    let mut metadata = Plain::<Option<Arc<Metadata>>>::default();
    let mut data = Plain::<Option<Data>>::default();
    if reader.token(b'}').is_none() {
        loop {
            if data.is_none() && reader.name(br#""data""#).is_some() {
                *data = Some(reader.data(room)?);
            } else if metadata.is_none() && reader.name(br#""metadata""#).is_some() {
                *metadata = Some(shared_metadata(reader, last)?);
            } else {
                return None;
            }
            if !reader.has_next(b'}')? {
                break;
            }
        }
    }
    let (metadata, data) = (metadata.into_inner(), data.into_inner());
    let data = data.unwrap_or_default();
    Some(SharedPayload::new(metadata.unwrap_or_default(), data))
}

/// The metadata of a payload, which mostly are the last ones.
fn shared_metadata<'b>(reader: &mut Reader<'b>, last: &mut Last<'b>) -> Option<Arc<Metadata>> {
    reader.skip_space();
    if let Some((text, same)) = last
        && reader.skip(text)
    {
        return Some(Arc::clone(same));
    }
    let before = reader.clone();
    let metadata = Arc::new(metadata(reader)?);
    // Metadata across a cut have no text of their own.
    if let Some(text) = before.text_to(reader) {
        *last = Some((text, Arc::clone(&metadata)));
    }
    Some(metadata)
}

fn metadata(reader: &mut Reader<'_>) -> Option<Metadata> {
    reader.token(b'{')?;
    let mut metadata = Plain::<Metadata>::default();
    if reader.token(b'}').is_some() {
        return Some(metadata.into_inner());
    }
    loop {
        let name = reader.name_text()?;
        // JSON has control characters in escaped form only.
        if metadata.len() == MAX_METADATA || name.iter().any(|byte| *byte < b' ') {
            return None;
        }
        let name = std::str::from_utf8(&name).ok()?.to_owned();
        reader.token(b':')?;
        let Entry::Vacant(entry) = metadata.entry(name) else {
            return None;
        };
        entry.insert(reader.bytes()?.into_vec());
        if !reader.has_next(b'}')? {
            return Some(metadata.into_inner());
        }
    }
}

/// What is left of the body: the rest of a part, and the parts behind it.
#[derive(Clone)]
struct Reader<'b> {
    rest: &'b [u8],
    later: &'b [&'b [u8]],
    /// How long the text of the last data was.
    last_data: usize,
}

impl<'b> Reader<'b> {
    /// Goes over to the next part that has bytes, if this one is read.
    #[inline]
    fn go_over(&mut self) {
        while self.rest.is_empty()
            && let Some((part, later)) = self.later.split_first()
        {
            (self.rest, self.later) = (part, later);
        }
    }

    fn is_at_end(&mut self) -> bool {
        self.go_over();
        self.rest.is_empty()
    }

    /// Skips the whitespace of JSON (RFC 8259, section 2).
    fn skip_space(&mut self) {
        self.go_over();
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
            self.go_over();
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
        if let Some(rest) = self.rest.strip_prefix(text) {
            self.rest = rest;
            return !text.is_empty();
        }
        if self.rest.len() >= text.len() {
            return false;
        }
        let mut ahead = self.clone();
        let is_next = ahead.skip_across(text);
        if is_next {
            *self = ahead;
        }
        is_next
    }

    /// As [`skip`](Self::skip), for a text across a cut. It may stop within the text.
    fn skip_across(&mut self, mut text: &[u8]) -> bool {
        while !text.is_empty() {
            self.go_over();
            let (here, behind) = text.split_at(text.len().min(self.rest.len()));
            match self.rest.strip_prefix(here) {
                Some(rest) if !here.is_empty() => (self.rest, text) = (rest, behind),
                _ => return false,
            }
        }
        true
    }

    /// Skips the name of a member, with its quotes, and the colon after it. Nothing is skipped without the colon, because
    /// other names are tried then.
    fn name(&mut self, quoted: &[u8]) -> Option<()> {
        self.skip_space();
        let before = self.clone();
        let is_member = self.skip(quoted) && self.token(b':').is_some();
        if !is_member {
            *self = before;
        }
        is_member.then_some(())
    }

    /// A string without escapes. It may go over into later parts.
    fn name_text(&mut self) -> Option<Cow<'b, [u8]>> {
        if let Some(text) = self.whole_text() {
            return Some(text.into());
        }
        self.token(b'"')?;
        let mut joined = Vec::new();
        while !self.is_at_end() {
            if let Some(end) = end_of_text(self.rest) {
                joined.extend_from_slice(self.text(end)?);
                return Some(joined.into());
            }
            joined.extend_from_slice(mem::take(&mut self.rest));
        }
        None
    }

    /// A string without escapes that is in one part. Nothing is skipped if it is another one.
    fn whole_text(&mut self) -> Option<&'b [u8]> {
        let mut ahead = self.clone();
        ahead.token(b'"')?;
        let text = ahead.text(end_of_text(ahead.rest)?)?;
        *self = ahead;
        Some(text)
    }

    /// The data of a payload. They are mostly as long as the last ones. Then their end is not searched for: the decoder of base64
    /// refuses a text with a quote.
    fn data(&mut self, room: Room) -> Option<Data> {
        let mut ahead = self.clone();
        if self.last_data > 0
            && ahead.token(b'"').is_some()
            && let Some(text) = ahead.text(self.last_data)
            && let Some(data) = decode_usual_base64(text, room)
        {
            *self = ahead;
            return Some(data);
        }
        let Some(text) = self.whole_text() else {
            return self.bytes_in_pieces(room);
        };
        let data = decode_usual_base64(text, room);
        // No other form is tried twice.
        self.last_data = data.as_ref().map_or(0, |_| text.len());
        data.or_else(|| decode_any_base64(text, room))
    }

    /// The bytes of a string in base64.
    fn bytes(&mut self) -> Option<Data> {
        let room = Room::default();
        match self.whole_text() {
            Some(text) => decode_base64_with_room(text, room),
            None => self.bytes_in_pieces(room),
        }
    }

    /// The bytes of a string in base64 that has escapes or goes over into later parts.
    fn bytes_in_pieces(&mut self, room: Room) -> Option<Data> {
        self.token(b'"')?;
        let mut decoder = PiecesDecoder::new(self.before_quote()?, room);
        loop {
            self.go_over();
            match self.rest.first()? {
                b'"' => break,
                b'\\' => decoder.push(self.escaped_ascii()?)?,
                _ => {
                    let end = end_of_piece(self.rest);
                    let (text, rest) = self.rest.split_at_checked(end)?;
                    decoder.append(text)?;
                    self.rest = rest;
                }
            }
        }
        self.byte()?;
        decoder.finish()
    }

    /// How many bytes are before the next quote.
    fn before_quote(&self) -> Option<usize> {
        let mut length = 0;
        for part in iter::once(&self.rest).chain(self.later) {
            if let Some(end) = memchr(b'"', part) {
                return Some(length + end);
            }
            length += part.len();
        }
        None
    }

    /// Skips one byte.
    fn byte(&mut self) -> Option<u8> {
        self.go_over();
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// The character of an escape, if it is ASCII. It may stop within the escape.
    fn escaped_ascii(&mut self) -> Option<u8> {
        if self.byte()? != b'\\' {
            return None;
        }
        match self.byte()? {
            b'/' => Some(b'/'),
            b'u' if self.byte()? == b'0' && self.byte()? == b'0' => {
                let (high, low) = (self.hex_digit()?, self.hex_digit()?);
                u8::try_from(high * 16 + low).ok()
            }
            _ => None,
        }
    }

    fn hex_digit(&mut self) -> Option<u32> {
        char::from(self.byte()?).to_digit(16)
    }

    /// The text before `end`, where a quote must be.
    fn text(&mut self, end: usize) -> Option<&'b [u8]> {
        let (text, rest) = self.rest.split_at_checked(end)?;
        let (quote, rest) = rest.split_first()?;
        self.rest = rest;
        (*quote == b'"').then_some(text)
    }

    /// The text from here to `end`, unless it is across a cut.
    fn text_to(&self, end: &Self) -> Option<&'b [u8]> {
        let is_same_part = self.later.len() == end.later.len();
        let length = self.rest.len().checked_sub(end.rest.len());
        self.rest.get(..length.filter(|_| is_same_part)?)
    }
}

/// Where a string ends, or has an escape.
fn end_of_text(rest: &[u8]) -> Option<usize> {
    memchr2(b'"', b'\\', rest)
}

/// As [`end_of_text`], or the end of the part. Text between escapes is often short. Starting vector instructions takes longer than
/// looking at a few bytes.
#[inline]
fn end_of_piece(rest: &[u8]) -> usize {
    let (words, _) = rest.as_chunks::<WORD>();
    let mut words = words.iter().take(2).enumerate();
    words
        .find_map(|(index, word)| Some(index * WORD + end_in_word(*word)?))
        .or_else(|| end_of_text(rest))
        .unwrap_or(rest.len())
}

const WORD: usize = 8;

/// As [`end_of_text`], for the bytes of a word at once.
#[inline]
fn end_in_word(bytes: [u8; WORD]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; WORD]);
    const HIGH_BITS: u64 = ONES << 7;

    let word = u64::from_le_bytes(bytes);
    // Of the bits that are set, the lowest one belongs to the first byte that is zero.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH_BITS;
    let is = |byte: u8| zeros(word ^ (ONES * u64::from(byte)));
    let ends = is(b'"') | is(b'\\');
    (ends != 0).then(|| ends.trailing_zeros() as usize / WORD)
}

#[cfg(test)]
mod tests;
