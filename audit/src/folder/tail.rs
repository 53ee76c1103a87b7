//! The end of a file: its last whole line, and what a killed process left behind it.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    path::Path,
    time::SystemTime,
};

use crate::{
    chain::{Hash, Head},
    destination::Torn,
    error::AuditError,
    line::{LONGEST, Line},
};

/// How much of the end is read. A process that is killed leaves at most one write of a mebibyte.
const MOST: u64 = 8 << 20;
/// The most lines in a row that are not whole. Each start after a kill adds at most one.
pub(crate) const MOST_TORN: usize = 16;

pub(super) struct Tail {
    /// The last whole line.
    pub(super) last: Head,
    /// The last line, whole or torn, as it is once it has its line feed.
    pub(super) end: Head,
    pub(super) torn: Option<Torn>,
    pub(super) needs_line_feed: bool,
    /// The bytes of the file.
    pub(super) len: u64,
    /// When the file was begun, as its first line says.
    pub(super) begun: SystemTime,
    /// The log's name, as the first line says.
    pub(super) log: String,
}

impl Tail {
    pub(super) fn read(file: &mut File, path: &Path) -> Result<Self, AuditError> {
        let damaged = || AuditError::Damaged(path.to_owned());
        let io = |error: io::Error| AuditError::io("read", path)(error);
        let first = first_line(file).map_err(io)?.ok_or_else(damaged)?;
        let log = first.text("log").ok_or_else(damaged)?.to_owned();
        let begun = first.text("time").map(humantime::parse_rfc3339);
        let len = file.metadata().map_err(io)?.len();
        let start = len.saturating_sub(MOST);
        file.seek(SeekFrom::Start(start)).map_err(io)?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes).map_err(io)?;
        let end = Ending::find(&bytes, start == 0).ok_or_else(damaged)?;
        Ok(Self {
            last: end.last,
            end: end.end,
            torn: end.torn,
            needs_line_feed: end.needs_line_feed,
            len,
            begun: begun.and_then(Result::ok).unwrap_or_else(SystemTime::now),
            log,
        })
    }
}

fn first_line(file: &mut File) -> io::Result<Option<Line>> {
    file.rewind()?;
    let mut line = Vec::new();
    let reader = BufReader::new(&mut *file);
    reader
        .take(LONGEST as u64 + 1)
        .read_until(b'\n', &mut line)?;
    Ok(Line::parse(&line).filter(|line| line.event() == "file"))
}

#[derive(Debug, PartialEq, Eq)]
struct Ending {
    last: Head,
    end: Head,
    torn: Option<Torn>,
    needs_line_feed: bool,
}

impl Ending {
    /// `is_whole`: whether `bytes` begin with a line, and not in one.
    fn find(bytes: &[u8], is_whole: bool) -> Option<Self> {
        let needs_line_feed = !bytes.ends_with(b"\n");
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        if !is_whole && !lines.is_empty() {
            lines.remove(0);
        }
        let mut torn: Vec<&[u8]> = Vec::new();
        while let Some(line) = lines.pop() {
            if line.ends_with(b"\n")
                && let Some(parsed) = Line::parse(line)
            {
                let last = Head::new(parsed.seq, Hash::of(line));
                torn.reverse();
                if let [only] = torn.as_slice()
                    && let Some(whole) = whole_but_for_its_end(last, only)
                {
                    return Some(Self {
                        last: whole,
                        end: whole,
                        torn: None,
                        needs_line_feed,
                    });
                }
                return Some(Self::behind(last, &torn, needs_line_feed));
            }
            torn.push(line);
            if torn.len() > MOST_TORN {
                return None;
            }
        }
        None
    }

    fn behind(last: Head, torn: &[&[u8]], needs_line_feed: bool) -> Self {
        let Some((unfinished, _)) = torn.split_last() else {
            return Self {
                last,
                end: last,
                torn: None,
                needs_line_feed: false,
            };
        };
        let mut unfinished = unfinished.to_vec();
        let mut all = torn.concat();
        if needs_line_feed {
            unfinished.push(b'\n');
            all.push(b'\n');
        }
        Self {
            last,
            end: Head::new(last.seq, Hash::of(&unfinished)),
            torn: Some(Torn {
                lines: torn.len() as u64,
                bytes: all.len() as u64,
                hash: Hash::of(&all),
            }),
            needs_line_feed,
        }
    }
}

/// The line that only lacks its line feed.
fn whole_but_for_its_end(before: Head, piece: &[u8]) -> Option<Head> {
    let line = Line::parse(piece).filter(|_| !piece.ends_with(b"\n"))?;
    let follows = line.prev == before.hash && line.seq == before.seq.saturating_add(1);
    let whole = [piece, b"\n"].concat();
    follows.then(|| Head::new(line.seq, Hash::of(&whole)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    #[test]
    fn the_end_is_found_wherever_a_write_was_cut() {
        let mut lines = Vec::new();
        let first = Head::START.extend(&Event::new("start").into_body(), &mut lines);
        let whole = lines.len();
        let second = first.extend(&Event::new("stop").into_body(), &mut lines);
        let unended = Ending::find(&lines[..lines.len() - 1], true).unwrap();
        assert_eq!((unended.last, unended.torn), (second, None));
        assert!(unended.needs_line_feed);
        for cut in whole..lines.len() - 1 {
            let end = Ending::find(&lines[..cut], true).unwrap();
            assert_eq!(end.last, first, "{cut}");
            assert_eq!(end.needs_line_feed, cut > whole);
            let mut torn = lines[whole..cut].to_vec();
            torn.push(b'\n');
            let expected = (cut > whole).then(|| Torn {
                lines: 1,
                bytes: torn.len() as u64,
                hash: Hash::of(&torn),
            });
            assert_eq!(end.torn, expected, "{cut}");
        }
        let end = Ending::find(&lines, true).unwrap();
        assert_eq!((end.last, end.end, end.torn), (second, second, None));
    }

    #[test]
    fn a_file_of_something_else_has_no_end() {
        for bytes in [&b""[..], b"\n", b"{}\n", &[0; 100], &b"x\n".repeat(100)] {
            assert_eq!(Ending::find(bytes, true), None);
        }
    }
}
