//! The memory of another process.

use std::{
    fs::{self, File},
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
};

use memchr::memmem;

use crate::forms_of;

/// How much is read at a time. Pieces overlap by more than any form of a secret has.
const PIECE: usize = 4 << 20;
const OVERLAP: usize = 64 << 10;

/// The form in which the memory of a process holds `secret`, if it does.
///
/// # Errors
/// The process has ended, or its memory cannot be read. The memory of a process that forbids core dumps is for root alone.
pub fn memory_holds(id: u32, secret: &[u8]) -> io::Result<Option<&'static str>> {
    let maps = fs::read_to_string(format!("/proc/{id}/maps"))?;
    let memory = File::open(format!("/proc/{id}/mem"))?;
    let forms = forms_of(secret);
    let mut piece = vec![0; PIECE + OVERLAP];
    for region in maps.lines().filter_map(writable) {
        for start in region.clone().step_by(PIECE) {
            let left = usize::try_from(region.end - start).unwrap_or(usize::MAX);
            let wanted = left.min(piece.len());
            // It may have been given back since the list was read.
            let read = memory.read_at(piece.get_mut(..wanted).unwrap_or_default(), start);
            let bytes = piece.get(..read.unwrap_or_default()).unwrap_or_default();
            let is_held = |(_, form): &&(&str, Vec<u8>)| memmem::find(bytes, form).is_some();
            if let Some((name, _)) = forms.iter().find(is_held) {
                return Ok(Some(name));
            }
        }
    }
    Ok(None)
}

/// The addresses of a line of `/proc/PID/maps`, if the process can write there.
fn writable(line: &str) -> Option<Range<u64>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let addresses = number(start)?..number(end)?;
    fields.next()?.starts_with("rw").then_some(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_that_can_be_written_to_is_searched() {
        let line = "7f00aa000000-7f00ab000000 rw-p 00000000 00:00 0      [heap]";
        assert_eq!(writable(line), Some(0x7f00_aa00_0000..0x7f00_ab00_0000));
        assert_eq!(writable("1000-2000 r-xp 00000000 08:01 17  /bin/sh"), None);
        assert_eq!(writable("1000-2000 ---p 00000000 00:00 0"), None);
        assert_eq!(writable("nonsense"), None);
    }

    #[test]
    fn a_secret_of_this_process_is_found() {
        let secret = [0x17, 0x2a, 0x99, 0x51, 0xfe, 0x03, 0xc4, 0x6b, 0xd0];
        let own = std::process::id();
        assert!(memory_holds(own, &secret).unwrap().is_some());
    }
}
