//! Writes the fields of log lines as text.
//!
//! A server writes a line with many numbers and short texts for each request. The library would write each of them through several
//! layers of styles, also where the log has no colours. Everything else is left to the library.

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
    /// Writes a field whose value steers no terminal.
    fn plain(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.writer.has_ansi_escapes() || is_special(field) {
            return self.usual(|visitor| visitor.record_debug(field, &value));
        }
        if self.result.is_ok() {
            let space = if self.is_empty { "" } else { " " };
            self.result = write!(self.writer, "{space}{}={value}", field.name());
        }
        self.is_empty = false;
    }

    fn usual(&mut self, record: impl FnOnce(&mut DefaultVisitor<'_>)) {
        let mut visitor = DefaultVisitor::new(self.writer.by_ref(), self.is_empty);
        record(&mut visitor);
        self.result = self.result.and(visitor.finish());
        self.is_empty = false;
    }
}

/// The message has no name, and some names are written in another way.
fn is_special(field: &Field) -> bool {
    let name = field.name();
    name == "message" || name.starts_with("r#") || name.starts_with("log.")
}

impl Visit for Visitor<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if is_special(field) {
            self.usual(|visitor| visitor.record_str(field, value));
        } else {
            self.plain(field, format_args!("{value:?}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.usual(|visitor| visitor.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.usual(|visitor| visitor.record_debug(field, value));
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use parking_lot::Mutex;
    use tracing::Subscriber;
    use tracing_subscriber::fmt::format::DefaultFields;

    use super::*;

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
            let _in = span.enter();
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
        });
    }

    #[test]
    fn lines_are_those_of_the_library() {
        for ansi in [false, true] {
            let written = |lines: &Lines| String::from_utf8(lines.0.lock().clone()).unwrap();
            let (usual, ours) = (Lines::default(), Lines::default());
            let (to_usual, to_ours) = (usual.clone(), ours.clone());
            let subscriber = || tracing_subscriber::fmt().without_time().with_ansi(ansi);
            let fields = DefaultFields::new();
            log(subscriber()
                .fmt_fields(fields)
                .with_writer(move || to_usual.clone())
                .finish());
            log(subscriber()
                .fmt_fields(TextFields)
                .with_writer(move || to_ours.clone())
                .finish());
            assert!(written(&ours).contains("done") && written(&ours).contains("status"));
            assert_eq!(written(&ours), written(&usual));
        }
    }
}
