//! How many tokens an answer of the API used, read from the answer while it passes.

use serde::Deserialize;
use serde_json::Value;

/// A longer line, or a longer answer that is not a stream, is not searched.
const MAX_LINE: usize = 4 << 20;
/// How many bytes of a stream make a token, at least. A cut stream is counted by its length.
const BYTES_PER_TOKEN: u64 = 16;

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the API's names")]
struct Counts {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    cache_creation_input_tokens: u64,
    #[serde(default)]
    cache_read_input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
}

impl Counts {
    fn total(self) -> u64 {
        self.input_tokens
            .saturating_add(self.cache_creation_input_tokens)
            .saturating_add(self.cache_read_input_tokens)
            .saturating_add(self.output_tokens)
    }
}

/// Reads one answer, piece by piece.
#[derive(Debug, Default)]
pub(super) struct UsageReader {
    line: Vec<u8>,
    is_too_long: bool,
    bytes: u64,
    input: u64,
    output: u64,
    is_complete: bool,
}

impl UsageReader {
    /// Reads the next piece.
    pub(super) fn read(&mut self, mut piece: &[u8]) {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let (before, after) = piece.split_at(end);
            self.keep(before);
            self.end_line();
            piece = after.get(1..).unwrap_or_default();
        }
        self.keep(piece);
    }

    /// The tokens used: what the API told. For a stream that was cut before the API told all, an estimate from its length, or
    /// `unknown` if the API told nothing.
    pub(super) fn tokens(&mut self, unknown: u64) -> u64 {
        self.end_line();
        let told = self.input.saturating_add(self.output);
        if self.is_complete {
            return told;
        }
        if told == 0 {
            return unknown.max(self.bytes / BYTES_PER_TOKEN);
        }
        told.max(self.input.saturating_add(self.bytes / BYTES_PER_TOKEN))
    }

    fn keep(&mut self, part: &[u8]) {
        self.is_too_long |= self.line.len() + part.len() > MAX_LINE;
        if !self.is_too_long {
            self.line.extend_from_slice(part);
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !std::mem::take(&mut self.is_too_long) {
            self.take(&line);
        }
    }

    fn take(&mut self, line: &[u8]) {
        let json = line.strip_prefix(b"data:").unwrap_or(line);
        if memchr::memmem::find(json, b"\"usage\"").is_none() {
            return;
        }
        let Ok(event) = serde_json::from_slice::<Value>(json) else {
            return;
        };
        let usage = |value: Option<&Value>| -> Counts {
            value
                .and_then(|usage| Counts::deserialize(usage).ok())
                .unwrap_or_default()
        };
        match event.get("type").and_then(Value::as_str) {
            Some("message_start") => {
                let start = usage(event.pointer("/message/usage"));
                self.input = start.total().saturating_sub(start.output_tokens);
                self.output = start.output_tokens;
            }
            Some("message_delta") => {
                let delta = usage(event.get("usage"));
                // The numbers are totals of the message.
                self.output = self.output.max(delta.output_tokens);
                self.input = self
                    .input
                    .max(delta.total().saturating_sub(delta.output_tokens));
                self.is_complete = true;
            }
            Some("message") => {
                self.input = usage(event.get("usage")).total();
                self.is_complete = true;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "event: message_start\n\
        data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\n\
        data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"\\\"usage\\\"\"}}\n\n\
        data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}\n\n";

    #[test]
    fn a_stream_in_pieces_of_any_size() {
        for size in [1, 7, 1000] {
            let mut reader = UsageReader::default();
            for piece in STREAM.as_bytes().chunks(size) {
                reader.read(piece);
            }
            assert_eq!(reader.tokens(0), 22);
        }
    }

    #[test]
    fn one_document_and_a_cut_stream() {
        let mut reader = UsageReader::default();
        reader.read(br#"{"type":"message","usage":{"input_tokens":3,"output_tokens":4}}"#);
        assert_eq!(reader.tokens(0), 7);

        // A client that leaves before the end is told no number, and does not get the tokens for nothing.
        let mut cut = UsageReader::default();
        let (start, _) = STREAM
            .split_once("data: {\"type\":\"message_delta\"")
            .unwrap();
        cut.read(start.as_bytes());
        cut.read(&vec![b'x'; 16_000]);
        assert!(cut.tokens(0) > 1000, "{}", cut.tokens(0));
        assert_eq!(UsageReader::default().tokens(500), 500);
    }

    #[test]
    fn an_endless_line_takes_bounded_memory() {
        let mut reader = UsageReader::default();
        for _ in 0..20 {
            reader.read(&vec![b'x'; 1 << 20]);
        }
        assert!(reader.line.capacity() <= 2 * MAX_LINE);
    }
}
