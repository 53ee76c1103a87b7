//! The log: to stderr, as text or JSON lines.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object on each line.
    Json,
}

/// The PKCS#11 library calls every mechanism of a token that it has no name for an error.
const DEFAULT: &str = "info,cryptoki=off";

/// Starts logging; `RUST_LOG` says how much, `info` by default. Nothing happens when a log is there already.
pub(crate) fn init(format: LogFormat) {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let wanted = wanted.filter(|wanted| !wanted.trim().is_empty());
    let filter = EnvFilter::builder().parse_lossy(wanted.as_deref().unwrap_or(DEFAULT));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Escapes would only be noise in a file or a container's log.
    let log = log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let _ = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
