//! Reads lines of bounded length from an unbounded stream, so that a hostile stream cannot fill the memory.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// A line of the output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line without its line break. Bytes that are not UTF-8 are replaced.
    Text(String),
    /// A part of a line above the limit. Its bytes are not kept. A very long line comes as several parts, so that the caller's
    /// byte count grows even if the line never ends.
    TooLong {
        /// The length of the part, in bytes.
        bytes: u64,
    },
}

/// Reads lines of at most `limit` bytes. A call of [`LimitedLines::next`] can be dropped at any time, and nothing is lost.
#[derive(Debug)]
pub(super) struct LimitedLines<R> {
    reader: BufReader<R>,
    limit: usize,
    line: Vec<u8>,
    bytes: u64,
    /// Whether the current line is already known to be too long.
    skipping: bool,
}

impl<R: AsyncRead + Unpin> LimitedLines<R> {
    /// Lines of `reader`, each of at most `limit` bytes.
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader: BufReader::with_capacity(64 * 1024, reader),
            limit,
            line: Vec::new(),
            bytes: 0,
            skipping: false,
        }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// When reading fails.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            // This is the only await. Everything that was read before it is in `self`.
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok((self.bytes > 0).then(|| self.take()));
            }
            let end = chunk.iter().position(|&b| b == b'\n');
            let (part, _) = chunk.split_at(end.unwrap_or(chunk.len()));
            self.bytes += part.len() as u64;
            let fits = self.bytes <= self.limit as u64;
            if fits && !self.skipping {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() && self.skipping && self.bytes == 0 {
                self.skipping = false;
            } else if end.is_some() || !fits {
                let line = self.take();
                self.skipping = end.is_none();
                return Ok(Some(line));
            }
        }
    }

    fn take(&mut self) -> Line {
        let bytes = std::mem::take(&mut self.bytes);
        let line = std::mem::take(&mut self.line);
        if self.skipping || bytes > self.limit as u64 {
            return Line::TooLong { bytes };
        }
        Line::Text(match String::from_utf8(line) {
            Ok(text) => text,
            Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(input: &[u8], limit: usize) -> Vec<Line> {
        let mut lines = LimitedLines::new(input, limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    fn text(line: &str) -> Line {
        Line::Text(line.to_owned())
    }

    #[tokio::test]
    async fn splits_and_keeps_a_last_line_without_end() {
        assert_eq!(lines(b"a\n\nb", 9).await, [text("a"), text(""), text("b")]);
        assert_eq!(lines(b"", 9).await, []);
        assert_eq!(lines(b"\xff\n", 9).await, [text("\u{fffd}")]);
    }

    #[tokio::test]
    async fn counts_what_is_too_long_and_goes_on() {
        let mut input = vec![b'x'; 200_000];
        input.extend_from_slice(b"\n1234\n12345\n");
        let all = lines(&input, 4).await;
        let (long, rest) = all.split_at(all.len() - 2);
        let sizes = long.iter().map(|line| match line {
            Line::TooLong { bytes } => *bytes,
            Line::Text(text) => panic!("{text}"),
        });
        assert_eq!(sizes.sum::<u64>(), 200_000);
        assert_eq!(rest, [text("1234"), Line::TooLong { bytes: 5 }]);
    }

    #[tokio::test]
    async fn a_line_without_end_comes_in_pieces() {
        let mut lines = LimitedLines::new(tokio::io::repeat(b'x'), 100_000);
        for _ in 0..3 {
            let Some(Line::TooLong { bytes }) = lines.next().await.unwrap() else {
                panic!()
            };
            assert!((100_000..300_000).contains(&bytes), "{bytes}");
            assert!(lines.line.is_empty());
        }
    }
}
