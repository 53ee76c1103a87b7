//! Writes a log line as text: time, level, spans, target and fields.
//!
//! A server writes a line for each request. The library would write each part through styles, also where the log has no
//! colours. Lines with colours are left to the library.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{Format, Full, Writer},
        time::FormatTime,
    },
    registry::LookupSpan,
};

/// Writes lines as the library does.
#[derive(Debug)]
pub(super) struct TextLine<T> {
    usual: Format<Full, T>,
    time: T,
}

impl<T: Clone> TextLine<T> {
    pub(super) fn new(time: T) -> Self {
        Self {
            usual: Format::default().with_timer(time.clone()),
            time,
        }
    }
}

impl<S, N, T> FormatEvent<S, N> for TextLine<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        // The library knows where an event of the crate `log` comes from.
        if out.has_ansi_escapes() || metadata.target() == "log" {
            return self.usual.format_event(context, out, event);
        }
        if self.time.format_time(&mut out).is_err() {
            out.write_str("<unknown time>")?;
        }
        out.write_str(level(*metadata.level()))?;
        if let Some(spans) = context.event_scope() {
            for span in spans.from_root() {
                out.write_str(span.name())?;
                if let Some(fields) = span.extensions().get::<FormattedFields<N>>()
                    && !fields.is_empty()
                {
                    out.write_char('{')?;
                    out.write_str(fields)?;
                    out.write_char('}')?;
                }
                out.write_char(':')?;
            }
            out.write_char(' ')?;
        }
        out.write_str(metadata.target())?;
        out.write_str(": ")?;
        context.format_fields(out.by_ref(), event)?;
        out.write_char('\n')
    }
}

/// A level in a column of its own.
fn level(level: Level) -> &'static str {
    match level {
        Level::TRACE => " TRACE ",
        Level::DEBUG => " DEBUG ",
        Level::INFO => "  INFO ",
        Level::WARN => "  WARN ",
        Level::ERROR => " ERROR ",
    }
}
