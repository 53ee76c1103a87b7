//! The log: to stderr, as text or as JSON lines.

mod fields;
mod level;
mod line;
mod lines;
mod time;

use std::{fmt, io::IsTerminal as _, sync::Arc};

use clap::ValueEnum;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    subscriber::{DefaultGuard, set_default},
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt as _,
};

pub use self::level::LogLevel;
use self::{fields::TextFields, line::TextLine, lines::ToStderr, time::UtcTime};
use crate::terminal;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// A further reader of spans and events beside the log, such as one that sends traces.
pub type TraceLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Changes what the log of this process has, while the process runs.
#[derive(Clone)]
pub struct LogControl {
    default: &'static str,
    change: Arc<dyn Fn(EnvFilter) -> bool + Send + Sync>,
}

impl LogControl {
    /// Logs at `level` from now on; without one, as at the start. Returns whether that is so: `RUST_LOG` decides where it is
    /// set.
    pub fn set(&self, level: Option<&LogLevel>) -> bool {
        if wanted().is_some() {
            return level.is_none();
        }
        (self.change)(with_level(level.map_or(self.default, LogLevel::as_str)))
    }
}

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogControl").finish_non_exhaustive()
    }
}

/// The log of a server that has not read its configuration yet. It is the log of this thread only.
#[must_use = "the log ends when this is dropped"]
pub struct EarlyLog {
    format: LogFormat,
    level: &'static str,
    _guard: DefaultGuard,
}

impl EarlyLog {
    /// Starts the log. `RUST_LOG` sets the level; the default is `level`, such as `info`.
    pub fn start(format: LogFormat, level: &'static str) -> Self {
        Self {
            format,
            level,
            _guard: set_default(subscriber(format, level, None).0),
        }
    }

    /// Makes it the log of the process, beside `traces`.
    #[must_use = "the level cannot change without it"]
    pub fn finish(self, traces: Option<TraceLayer>) -> LogControl {
        let Self { format, level, .. } = self;
        let (subscriber, control) = subscriber(format, level, traces);
        let _ = subscriber.try_init();
        control
    }
}

impl fmt::Debug for EarlyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EarlyLog").finish_non_exhaustive()
    }
}

/// Writes the lines that wait to be written together when it is dropped. Each program holds one until it ends.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "it has no fields")]
pub struct FlushOnDrop;

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        lines::flush();
    }
}

/// Starts the log of a process. `RUST_LOG` sets the level; the default is `level`, such as `info`. A second call has no
/// effect.
pub fn init(format: LogFormat, level: &'static str) {
    let _ = subscriber(format, level, None).0.try_init();
}

/// The log and `traces`, each with its own filter: what is logged does not decide what is traced.
fn subscriber(
    format: LogFormat,
    level: &'static str,
    traces: Option<TraceLayer>,
) -> (impl Subscriber + Send + Sync, LogControl) {
    let log = tracing_subscriber::fmt::layer()
        .with_writer(ToStderr)
        // A file or a container's log should have no colour codes.
        .with_ansi(std::io::stderr().is_terminal());
    let log = match format {
        LogFormat::Text => log
            .event_format(TextLine::new(UtcTime))
            .fmt_fields(TextFields)
            .boxed(),
        LogFormat::Json => log.with_timer(UtcTime).json().flatten_event(true).boxed(),
    };
    let (filter, handle) = reload::Layer::new(filter(level));
    let control = LogControl {
        default: level,
        change: Arc::new(move |filter: EnvFilter| handle.reload(filter).is_ok()),
    };
    let subscriber = Registry::default()
        .with(traces)
        .with(log.with_filter(filter));
    (subscriber, control)
}

/// Starts the log of a command that runs once for a person: lines such as `codec-server: warning: …`, without a time.
/// With `RUST_LOG` or as JSON, it is the log of [`init`].
pub fn init_command(program: &'static str, format: LogFormat, level: &'static str) {
    if format == LogFormat::Json || wanted().is_some() {
        return init(format, level);
    }
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .event_format(ForPeople { program })
        .try_init();
}

fn filter(level: &str) -> EnvFilter {
    match wanted() {
        Some(wanted) => EnvFilter::builder().parse_lossy(wanted),
        None => with_level(level),
    }
}

fn with_level(level: &str) -> EnvFilter {
    // cryptoki logs each unknown mechanism at error level. The SDK of AWS warns, with text for debugging, of what it then
    // returns as an error. What comes later counts.
    let aws = if level == "off" { level } else { "error" };
    EnvFilter::builder().parse_lossy(format!(
        "cryptoki=off,aws_config={aws},aws_runtime={aws},aws_smithy={aws},{level}"
    ))
}

/// The level that a variable sets.
///
/// | variable | meaning |
/// |---|---|
/// | `RUST_LOG` | the level of the log, such as `debug` |
fn wanted() -> Option<String> {
    std::env::var(EnvFilter::DEFAULT_ENV)
        .ok()
        .filter(|wanted| !wanted.trim().is_empty())
}

/// One line for each event: the program, the level, the message and its fields.
struct ForPeople {
    program: &'static str,
}

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            _ => "",
        };
        let mut text = Text::default();
        event.record(&mut text);
        let fields = match text.fields.as_slice() {
            [] => String::new(),
            fields => format!(" ({})", fields.join(", ")),
        };
        let line = terminal::line(&format!("{}{fields}", text.message));
        writeln!(writer, "{}: {level}{line}", self.program)
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: Vec<String>,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            // Where in its source a library has logged with the crate `log`.
            name if name.starts_with("log.") => {}
            name => self.fields.push(format!("{name}: {value:?}")),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use parking_lot::Mutex;

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

    #[test]
    fn the_sdk_of_aws_logs_errors_only_unless_it_is_asked_for() {
        for (level, expected) in [
            ("warn", "program: warning: ours\nprogram: error: broken\n"),
            ("off", ""),
            (
                "error,aws_config=warn",
                "program: warning: text\nprogram: error: broken\n",
            ),
        ] {
            let lines = Lines::default();
            let written = lines.clone();
            let log = tracing_subscriber::fmt()
                .with_env_filter(with_level(level))
                .with_writer(move || written.clone())
                .with_ansi(false)
                .event_format(ForPeople { program: "program" })
                .finish();
            tracing::subscriber::with_default(log, || {
                tracing::warn!("ours");
                tracing::warn!(target: "aws_config::imds::region", "text");
                tracing::warn!(target: "aws_smithy_runtime::client", "text");
                tracing::error!(target: "aws_smithy_runtime::client", "broken");
            });
            let text = String::from_utf8(lines.0.lock().clone()).unwrap();
            assert_eq!(text, expected, "{level}");
        }
    }

    #[test]
    fn a_line_for_people_has_no_time_and_steers_no_terminal() {
        let lines = Lines::default();
        let written = lines.clone();
        let log = tracing_subscriber::fmt()
            .with_writer(move || written.clone())
            .with_ansi(false)
            .event_format(ForPeople { program: "program" })
            .finish();
        tracing::subscriber::with_default(log, || {
            tracing::warn!(key = "local://k", file = %"a\u{1b}[2Jb", log.line = 7, "careful");
            tracing::info!("done");
        });
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        assert_eq!(
            text,
            "program: warning: careful (key: local://k, file: a\u{fffd}[2Jb)\nprogram: done\n"
        );
    }
}
