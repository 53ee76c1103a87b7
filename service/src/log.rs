//! The log: to stderr, as text or as JSON lines.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

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

/// Starts the log. `RUST_LOG` sets the level; without it, `level` counts, such as `info`. A second call has no effect.
pub fn init(format: LogFormat, level: &str) {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV)
        .ok()
        .filter(|wanted| !wanted.trim().is_empty())
        // The PKCS#11 library logs an error for each mechanism of a token that it has no name for.
        .unwrap_or_else(|| format!("{level},cryptoki=off"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse_lossy(wanted))
        .with_writer(std::io::stderr)
        // Escapes would be noise in a file or in a container's log.
        .with_ansi(std::io::stderr().is_terminal());
    let _ = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
