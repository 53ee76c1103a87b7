//! Writes the fields of log lines as text.
//!
//! A server writes a line with many numbers and short texts for each request. The library would write each of them through several
//! layers of styles, also where the log has no colours. Messages and errors are left to the library.

use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::{RecordFields, VisitOutput as _},
    fmt::{
        FormatFields,
        format::{DefaultVisitor, Writer},
    },
};

/// Writes fields as the library's own format does.
#[derive(Debug)]
pub(super) struct TextFields;

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Visitor {
            writer,
            is_empty: true,
            result: Ok(()),
        };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'w> {
    writer: Writer<'w>,
    is_empty: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    /// Writes a field without styles, or else the library writes it.
    fn field(
        &mut self,
        field: &Field,
        value: impl FnOnce(&mut Writer<'_>) -> fmt::Result,
        usual: impl FnOnce(&mut DefaultVisitor<'_>),
    ) {
        if self.writer.has_ansi_escapes() || is_special(field) {
            let mut visitor = DefaultVisitor::new(self.writer.by_ref(), self.is_empty);
            usual(&mut visitor);
            self.result = self.result.and(visitor.finish());
        } else if self.result.is_ok() {
            self.result = self.name(field).and_then(|()| value(&mut self.writer));
        }
        self.is_empty = false;
    }

    fn name(&mut self, field: &Field) -> fmt::Result {
        if !self.is_empty {
            self.writer.write_char(' ')?;
        }
        self.writer.write_str(field.name())?;
        self.writer.write_char('=')
    }

    fn shown(&mut self, field: &Field, value: impl fmt::Display) {
        self.field(
            field,
            |out| write!(out, "{value}"),
            |usual| usual.record_debug(field, &format_args!("{value}")),
        );
    }
}

/// The digits of the largest number.
const DIGITS: usize = 20;

/// A number in decimal digits.
fn decimal(digits: &mut [u8; DIGITS], mut value: u64) -> &str {
    let mut start = DIGITS;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or_default();
        start -= 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    std::str::from_utf8(digits.get(start..).unwrap_or_default()).unwrap_or_default()
}

/// A text in quotes, as its `Debug` has it.
fn quoted(out: &mut Writer<'_>, text: &str) -> fmt::Result {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if !text.bytes().all(is_plain) {
        return write!(out, "{text:?}");
    }
    out.write_char('"')?;
    out.write_str(text)?;
    out.write_char('"')
}

/// The message has no name, and some names are written in another way.
fn is_special(field: &Field) -> bool {
    let name = field.name();
    name == "message" || name.starts_with("r#") || name.starts_with("log.")
}

impl Visit for Visitor<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(
            field,
            |out| out.write_str(decimal(&mut [0; DIGITS], value)),
            |usual| usual.record_u64(field, value),
        );
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.shown(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.shown(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(
            field,
            |out| quoted(out, value),
            |usual| usual.record_str(field, value),
        );
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut visitor = DefaultVisitor::new(self.writer.by_ref(), self.is_empty);
        visitor.record_error(field, value);
        self.result = self.result.and(visitor.finish());
        self.is_empty = false;
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(
            field,
            |out| write!(out, "{value:?}"),
            |usual| usual.record_debug(field, value),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use parking_lot::Mutex;
    use tracing::{Level, Subscriber};
    use tracing_subscriber::fmt::{format::DefaultFields, time::FormatTime};

    use super::{super::line::TextLine, *};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(subscriber: impl Subscriber + Send + Sync) {
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request", id = %"1f", count = 7);
            let entered = span.enter();
            let error: Box<dyn std::error::Error> = io::Error::other("a\u{1b}[2Jb").into();
            let none: Option<u64> = None;
            tracing::info!(status = 200_u16, size = -1_i64, ok = true, none, "done");
            tracing::info!(text = "a \"b\"\n\u{1b}[2J", shown = %"c d", debugged = ?[1], ratio = 0.5);
            tracing::info!(
                error = error.as_ref(),
                r#type = 1,
                some = Some("x"),
                "a\u{1b}[2Jb"
            );
            tracing::info!("only a message");
            tracing::info!(
                zero = 0_u64,
                ten = 10_u8,
                most = u64::MAX,
                least = i64::MIN,
                huge = u128::MAX
            );
            tracing::error!(target: "else where", text = "plain");
            let inner = tracing::debug_span!("without fields");
            inner.in_scope(|| tracing::trace!(text = "tilde ~ and del \u{7f}"));
            drop(entered);
            tracing::debug!(umlaut = "ä'", backslash = r"a\b");
            inner.in_scope(|| tracing::warn!("x"));
        });
    }

    /// A clock that always shows the same time.
    #[derive(Clone)]
    struct Noon;

    impl FormatTime for Noon {
        fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
            out.write_str("noon")
        }
    }

    #[test]
    fn lines_are_those_of_the_library() {
        for ansi in [false, true] {
            let written = |lines: &Lines| String::from_utf8(lines.0.lock().clone()).unwrap();
            let (usual, ours) = (Lines::default(), Lines::default());
            let (to_usual, to_ours) = (usual.clone(), ours.clone());
            let subscriber = || {
                tracing_subscriber::fmt()
                    .with_max_level(Level::TRACE)
                    .with_timer(Noon)
                    .with_ansi(ansi)
            };
            let fields = DefaultFields::new();
            log(subscriber()
                .fmt_fields(fields)
                .with_writer(move || to_usual.clone())
                .finish());
            log(subscriber()
                .event_format(TextLine::new(Noon))
                .fmt_fields(TextFields)
                .with_writer(move || to_ours.clone())
                .finish());
            assert!(written(&ours).contains("done") && written(&ours).contains("status"));
            assert_eq!(written(&ours), written(&usual));
        }
    }
}
