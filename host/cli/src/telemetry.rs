//! Structured logs on standard error.

use crate::config::{LogSection, log_filter};
use crate::exit::{Exit, Failure, Outcome};

/// Starts logging for the rest of the process.
pub fn start(log: &LogSection) -> Outcome {
    let filter = log_filter(&log.filter).map_err(|problem| Failure::new(Exit::Usage, problem))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let logs = logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // Only a test that runs several commands in one process starts logging twice, and keeps the first.
    let _ = match log.format.as_str() {
        "json" => logs.json().try_init(),
        _ => logs.try_init(),
    };
    Ok(())
}
