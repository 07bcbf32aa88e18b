//! Logs: text on a terminal, JSON otherwise; to standard error, so that output stays output.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging in the language of `RUST_LOG`.
pub fn start(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        lines.try_init()
    } else {
        lines.json().flatten_event(true).with_span_list(false).try_init()
    };
    // A second start in one process (tests) keeps the first.
    drop(started);
}
