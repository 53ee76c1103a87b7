//! The memory of a process: another one, or that of the test.

use std::{
    fs::File,
    io::{self, Read as _},
    ops::Range,
    os::unix::fs::FileExt as _,
    process,
    sync::LazyLock,
};

use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::{Forms, Masked};

const PAGE: u64 = 4096;
/// Bits of an entry of `/proc/PID/pagemap`: the page is in memory, or swapped.
const IN_USE: u64 = 0b11 << 62;
/// How many bytes of `/proc/PID/pagemap` are read at a time.
const ENTRIES: usize = 1 << 20;
/// How much is read at a time. Pieces overlap by more than any form of a secret has.
const PIECE: usize = 4 << 20;
const OVERLAP: usize = 64 << 10;
/// Room for the usual `/proc/PID/maps`, and for the parts of one region.
const MAPS: usize = 512 << 10;
const PARTS: usize = 8 << 10;

/// The form in which the memory of a process holds `secret`, if it does.
///
/// # Errors
/// The process has ended, or its memory cannot be read. The memory of a process that forbids core dumps is for root alone.
///
/// # Panics
/// As [`Forms::of`].
pub fn memory_holds(id: u32, secret: &[u8]) -> io::Result<Option<&'static str>> {
    let forms = Forms::of(secret);
    Search::new().find(id, |bytes| forms.find_in(bytes))
}

/// The search in this process. Its memory is taken once: what a later search takes could be what it looks into, freed and not
/// erased.
static OWN: LazyLock<Mutex<Search>> = LazyLock::new(|| Mutex::new(Search::new()));

/// Whether the memory of this process holds a secret in the clear. One search at a time: it would find the copies of another one.
///
/// The first search takes memory. To look for what was freed, search once before it is freed.
///
/// # Errors
/// The memory cannot be read.
pub fn own_memory_holds(secret: &Masked) -> io::Result<bool> {
    let mut search = OWN.lock();
    let found = search.find(process::id(), |bytes| secret.is_in(bytes).then_some(()));
    // The next search must not find this copy.
    search.piece.fill(0);
    found.map(|found| found.is_some())
}

/// A search in the memory of a process, with the memory that it takes itself.
struct Search {
    maps: String,
    entries: Vec<u8>,
    parts: Vec<Range<u64>>,
    piece: Zeroizing<Vec<u8>>,
}

impl Search {
    fn new() -> Self {
        Self {
            maps: String::with_capacity(MAPS),
            entries: vec![0; ENTRIES],
            parts: Vec::with_capacity(PARTS),
            piece: Zeroizing::new(vec![0; PIECE + OVERLAP]),
        }
    }

    /// What `find` finds in the memory of a process.
    fn find<T>(&mut self, id: u32, find: impl Fn(&[u8]) -> Option<T>) -> io::Result<Option<T>> {
        self.maps.clear();
        File::open(format!("/proc/{id}/maps"))?.read_to_string(&mut self.maps)?;
        let memory = File::open(format!("/proc/{id}/mem"))?;
        let pages = File::open(format!("/proc/{id}/pagemap"))?;
        for region in self.maps.lines().filter_map(region) {
            find_used_parts(&pages, &region, &mut self.entries, &mut self.parts)?;
            for part in &self.parts {
                let found = find_in_part(&memory, part, &find, &mut self.piece);
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }
}

/// The addresses of a line of `/proc/PID/maps`. `None` for memory that cannot be read, and for unchanged files.
fn region(line: &str) -> Option<Range<u64>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let rights = fields.next()?;
    let is_file = fields.nth(2)? != "0";
    let name = fields.next().unwrap_or_default();
    let is_read = rights.starts_with('r') && (!is_file || rights.contains('w'));
    let number = |text| u64::from_str_radix(text, 16).ok();
    (is_read && !name.starts_with("[v")).then_some(number(start)?..number(end)?)
}

/// The parts of a region that have pages. Programs reserve far more than they use.
fn find_used_parts(
    pages: &File,
    region: &Range<u64>,
    entries: &mut [u8],
    parts: &mut Vec<Range<u64>>,
) -> io::Result<()> {
    let (mut page, last) = (region.start / PAGE, region.end / PAGE);
    parts.clear();
    while page < last {
        let wanted = usize::try_from((last - page) * 8).map_or(ENTRIES, |n| n.min(ENTRIES));
        let read = pages.read_at(entries.get_mut(..wanted).unwrap_or_default(), page * 8)?;
        let (chunks, _) = entries.get(..read).unwrap_or_default().as_chunks();
        if chunks.is_empty() {
            break;
        }
        for entry in chunks {
            let address = page * PAGE;
            if u64::from_ne_bytes(*entry) & IN_USE != 0 {
                match parts.last_mut() {
                    Some(part) if part.end == address => part.end += PAGE,
                    _ => parts.push(address..address + PAGE),
                }
            }
            page += 1;
        }
    }
    Ok(())
}

/// What `find` finds in one part. A secret may lie across two pieces.
fn find_in_part<T>(
    memory: &impl Memory,
    part: &Range<u64>,
    find: impl Fn(&[u8]) -> Option<T>,
    piece: &mut [u8],
) -> Option<T> {
    part.clone().step_by(PIECE).find_map(|start| {
        let left = usize::try_from(part.end - start).unwrap_or(usize::MAX);
        let wanted = left.min(piece.len());
        find_in_piece(memory, start, &find, piece.get_mut(..wanted)?)
    })
}

/// What `find` finds in one piece. Pages may have been given back since the list of pages was read. They are skipped, and
/// the bytes before and behind them are searched on their own.
fn find_in_piece<T>(
    memory: &impl Memory,
    start: u64,
    find: impl Fn(&[u8]) -> Option<T>,
    piece: &mut [u8],
) -> Option<T> {
    // The bytes from `first` to `end` are consecutive, and not searched yet.
    let (mut first, mut end) = (0_usize, 0_usize);
    while let Some(rest) = piece.get_mut(end..)
        && !rest.is_empty()
    {
        let address = start + end as u64;
        match memory.read_from(address, rest) {
            Ok(read) if read > 0 => end += read.min(rest.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => {
                let found = piece.get(first..end).and_then(&find);
                if found.is_some() {
                    return found;
                }
                let to_next_page = PAGE - address % PAGE;
                end = usize::try_from(to_next_page).map_or(piece.len(), |skipped| end + skipped);
                first = end;
            }
        }
    }
    piece.get(first..end).and_then(find)
}

/// Memory with addresses. The memory of a test has missing pages.
trait Memory {
    /// Reads into `bytes`, and returns how many bytes were read. A page that is missing ends the bytes. It is an error, or
    /// no byte is read, when the first page is missing.
    fn read_from(&self, address: u64, bytes: &mut [u8]) -> io::Result<usize>;
}

/// `/proc/PID/mem`.
impl Memory for File {
    fn read_from(&self, address: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.read_at(bytes, address)
    }
}

#[cfg(test)]
mod tests {
    use memchr::memmem;

    use super::*;

    const NEEDLE: &[u8] = b"a secret of 24 bytes ...";

    /// Memory from address 0 on, of which a part is missing.
    struct Pages {
        bytes: Vec<u8>,
        missing: Range<usize>,
        /// The answer to a read of the missing part.
        refusal: fn() -> io::Result<usize>,
        /// How much one read gives at most.
        most: usize,
    }

    impl Pages {
        const LEN: usize = PIECE + 3 * 4096;

        /// Memory that holds the needle at an address.
        fn with_needle(at: usize) -> Self {
            let mut bytes = vec![0; Self::LEN];
            bytes[at..at + NEEDLE.len()].copy_from_slice(NEEDLE);
            Self {
                bytes,
                missing: 0..0,
                refusal: || Ok(0),
                most: usize::MAX,
            }
        }

        fn holds_needle(&self) -> bool {
            let find = |bytes: &[u8]| memmem::find(bytes, NEEDLE);
            let part = 0..Self::LEN as u64;
            find_in_part(self, &part, find, &mut vec![0; PIECE + OVERLAP]).is_some()
        }
    }

    impl Memory for Pages {
        fn read_from(&self, address: u64, bytes: &mut [u8]) -> io::Result<usize> {
            let start = usize::try_from(address).unwrap();
            if self.missing.contains(&start) {
                return (self.refusal)();
            }
            let end = match self.missing.start {
                missing if start < missing => missing,
                _ => self.bytes.len(),
            };
            let read = bytes.len().min(end - start).min(self.most);
            bytes[..read].copy_from_slice(&self.bytes[start..start + read]);
            Ok(read)
        }
    }

    #[test]
    fn pages_around_missing_ones_are_searched() {
        let refusals: [fn() -> io::Result<usize>; 2] = [|| Ok(0), || Err(io::Error::other("gone"))];
        let missing = 4096..3 * 4096;
        for refusal in refusals {
            for (at, is_found) in [
                (4096 - NEEDLE.len(), true),
                (4096 - 1, false),
                (2 * 4096, false),
                (3 * 4096 - 1, false),
                (3 * 4096, true),
                (PIECE, true),
            ] {
                let pages = Pages {
                    missing: missing.clone(),
                    refusal,
                    ..Pages::with_needle(at)
                };
                assert_eq!(pages.holds_needle(), is_found, "at {at}");
            }
        }
    }

    #[test]
    fn a_missing_end_ends_the_search() {
        let pages = Pages {
            missing: PIECE..Pages::LEN,
            ..Pages::with_needle(PIECE - NEEDLE.len())
        };
        assert!(pages.holds_needle());
        let pages = Pages {
            missing: 0..Pages::LEN,
            ..pages
        };
        assert!(!pages.holds_needle());
    }

    #[test]
    fn a_secret_across_two_reads_or_pieces_is_found() {
        for at in [5000 - 3, PIECE - 3, Pages::LEN - NEEDLE.len()] {
            for most in [5000, usize::MAX] {
                let pages = Pages {
                    most,
                    ..Pages::with_needle(at)
                };
                assert!(pages.holds_needle(), "at {at}, {most} bytes at a time");
            }
        }
    }

    #[test]
    fn only_memory_that_a_program_has_filled_is_searched() {
        let line = "7f00aa000000-7f00ab000000 rw-p 00000000 00:00 0      [heap]";
        assert_eq!(region(line), Some(0x7f00_aa00_0000..0x7f00_ab00_0000));
        let read_only = "1000-2000 r--p 00000000 00:00 0";
        assert_eq!(region(read_only), Some(0x1000..0x2000));
        let of_a_file = "1000-2000 rw-p 00000000 08:01 17  /bin/sh";
        assert_eq!(region(of_a_file), Some(0x1000..0x2000));
        for other in [
            "1000-2000 r-xp 00000000 08:01 17  /bin/sh",
            "1000-2000 ---p 00000000 00:00 0",
            "1000-2000 r--p 00000000 00:00 0  [vvar]",
            "nonsense",
        ] {
            assert_eq!(region(other), None, "{other}");
        }
    }

    #[test]
    fn a_secret_of_this_process_is_found() {
        let own = process::id();
        let bytes = [0x17, 0x2a, 0x99, 0x51, 0xfe, 0x03, 0xc4, 0x6b, 0xd0];
        assert!(memory_holds(own, &bytes).unwrap().is_some());
    }

    #[test]
    fn a_masked_secret_is_found_as_long_as_the_process_has_it() {
        let secret = Masked::of((0..32).map(|number: u8| number.wrapping_mul(89) ^ 0x2d));
        assert!(!own_memory_holds(&secret).unwrap());
        let held = Zeroizing::new(secret.bytes().collect::<Vec<_>>());
        assert!(own_memory_holds(&secret).unwrap());
        drop(held);
        // Another test that looks into this process may have a copy for a while.
        let is_erased = || !own_memory_holds(&secret).unwrap();
        assert!((0..100).any(|_| is_erased()));
    }

    #[test]
    fn a_process_that_has_ended_is_an_error() {
        let mut child = process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(memory_holds(child.id(), b"a secret").is_err());
    }
}
