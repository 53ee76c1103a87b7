//! Files with payloads somewhere inside, of any length: read piece by piece.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use indicatif::ProgressBar;
use temporal_kms_codec_proto::json::{HistoryEvent, Part, PayloadStream};

use super::{
    exit::{Failure, Status},
    output::is_standard,
};

/// The longest object that counts as a payload. Temporal's limit is 2 MiB for a payload, and 4 MiB for a message.
pub(crate) const MAX_OBJECT: usize = 16 << 20;
const PIECE: usize = 256 << 10;

/// An open input.
pub(crate) struct PayloadFile {
    name: String,
    input: Box<dyn Read + Send>,
    /// The length, where it is known.
    pub(crate) len: Option<u64>,
}

impl PayloadFile {
    /// Opens the file at `path`; `-` is stdin.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        if is_standard(path) {
            return Ok(Self {
                name: "stdin".to_owned(),
                input: Box::new(io::stdin()),
                len: None,
            });
        }
        let missing = |error: io::Error| {
            Failure::new(
                Status::NoInput,
                format_args!("{}: cannot read the input: {error}", path.display()),
            )
        };
        let file = File::open(path).map_err(missing)?;
        let metadata = file.metadata().map_err(missing)?;
        if metadata.is_dir() {
            return Err(missing(io::ErrorKind::IsADirectory.into()));
        }
        Ok(Self {
            name: path.display().to_string(),
            input: Box::new(file),
            len: metadata.is_file().then_some(metadata.len()),
        })
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Hands the parts of the file to `each` as they come. Returns the last event of the last history in it.
    pub(crate) fn read(
        mut self,
        progress: &ProgressBar,
        mut each: impl FnMut(Vec<Part>) -> Result<(), Failure>,
    ) -> Result<Option<HistoryEvent>, Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::new(Status::Data, format_args!("{}: {error}", self.name))
        };
        let mut stream = PayloadStream::new(MAX_OBJECT);
        let mut piece = vec![0; PIECE];
        let mut is_start = true;
        loop {
            let len = match fill(&mut *self.input, &mut piece) {
                Ok(0) => break,
                Ok(len) => len,
                Err(error) => return Err(Failure::io(&self.name, &error)),
            };
            progress.inc(len as u64);
            let mut read = piece.get(..len).unwrap_or_default();
            if std::mem::take(&mut is_start) {
                if read.starts_with(b"\xff\xfe") || read.starts_with(b"\xfe\xff") {
                    return Err(wrong(&"it is UTF-16; save it as UTF-8"));
                }
                read = read.strip_prefix(b"\xef\xbb\xbf").unwrap_or(read);
            }
            each(stream.push(read).map_err(|error| wrong(&error))?)?;
        }
        let last = stream.last_event().cloned();
        each(stream.finish().map_err(|error| wrong(&error))?)?;
        Ok(last)
    }
}

/// Fills the buffer, unless the input ends.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(free) = buffer.get_mut(len..).filter(|free| !free.is_empty()) {
        match input.read(free) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}
