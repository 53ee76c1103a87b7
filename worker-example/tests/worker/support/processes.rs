//! Processes of this machine: their command lines, their environments, and their memory.

use dev_servers::forms_of;
use nix::unistd::Pid;
use std::{
    fs::{self, File},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path,
};

const PAGE: u64 = 4096;
/// Bits of an entry of `/proc/PID/pagemap`: the page is in memory, or swapped.
const IN_USE: u64 = 0b11 << 62;
/// How much is read at a time. Pieces overlap, so that a text at their border is found.
const PIECE: usize = 16 << 20;
const OVERLAP: usize = 64 << 10;

/// A command that waits while a file exists. Its command line contains the file's path.
pub(crate) fn hold(gate: &Path) -> String {
    format!(
        "sh -c 'while [ -e {} ]; do sleep 0.05; done'",
        gate.display()
    )
}

/// The processes whose command line contains a text.
pub(crate) fn processes_with(text: &str) -> Vec<Pid> {
    let is_it = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(text)
    };
    processes()
        .into_iter()
        .filter(is_it)
        .map(Pid::from_raw)
        .collect()
}

/// The name of a process, as `ps` shows it.
pub(crate) fn name_of(pid: i32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// The processes of this machine that other programs run and whose environment or command line holds a secret in any form.
pub(crate) fn environments_with(secret: &str) -> Vec<i32> {
    let forms = forms_of(secret.as_bytes());
    let mut found = processes();
    found.retain(|pid| {
        ["environ", "cmdline"].iter().any(|file| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            forms.iter().any(|(_, form)| contains(&bytes, form))
        })
    });
    found
}

/// The form in which the memory of a process holds a secret. `None` if the process has ended.
///
/// # Panics
/// The memory cannot be read.
pub(crate) fn memory_holds(pid: i32, secret: &str) -> Option<&'static str> {
    let mut forms = forms_of(secret.as_bytes());
    let wide = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    forms.push(("UTF-16", wide));
    forms.sort_by(|a, b| a.1.cmp(&b.1));
    forms.dedup_by(|a, b| a.1 == b.1);
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let pages = File::open(format!("/proc/{pid}/pagemap")).ok()?;
    maps.lines()
        .filter_map(region)
        .flat_map(|region| used_parts(&pages, region))
        .find_map(|part| held(&memory, part, &forms))
}

fn processes() -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .collect()
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
fn used_parts(pages: &File, region: Range<u64>) -> Vec<Range<u64>> {
    let (first, last) = (region.start / PAGE, region.end / PAGE);
    let mut parts: Vec<Range<u64>> = Vec::new();
    let mut entries = vec![0; 1 << 20];
    let mut page = first;
    while page < last {
        let wanted =
            usize::try_from((last - page) * 8).map_or(entries.len(), |n| n.min(entries.len()));
        let Ok(read @ 8..) = pages.read_at(&mut entries[..wanted], page * 8) else {
            break;
        };
        for entry in entries[..read].chunks_exact(8) {
            let entry = u64::from_ne_bytes(entry.try_into().unwrap());
            let address = page * PAGE;
            if entry & IN_USE != 0 {
                match parts.last_mut() {
                    Some(part) if part.end == address => part.end += PAGE,
                    _ => parts.push(address..address + PAGE),
                }
            }
            page += 1;
        }
    }
    parts
}

fn held(
    memory: &File,
    part: Range<u64>,
    forms: &[(&'static str, Vec<u8>)],
) -> Option<&'static str> {
    let mut buffer = vec![0; PIECE + OVERLAP];
    let mut start = part.start;
    while start < part.end {
        let left = usize::try_from(part.end - start).unwrap();
        let wanted = left.min(buffer.len());
        let read = memory
            .read_at(&mut buffer[..wanted], start)
            .unwrap_or_default();
        let found = forms
            .iter()
            .find(|(_, form)| contains(&buffer[..read], form));
        if let Some((name, _)) = found {
            return Some(name);
        }
        start += PIECE as u64;
    }
    None
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}
