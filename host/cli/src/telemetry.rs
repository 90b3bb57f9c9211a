//! Structured logs on standard error.

use tracing_subscriber::EnvFilter;

use crate::config::LogSection;
use crate::exit::{Exit, Failure, Outcome};

/// Starts logging for the rest of the process.
pub fn start(log: &LogSection) -> Outcome {
    let filter = EnvFilter::try_new(&log.filter).map_err(|error| {
        Failure::new(Exit::Usage, format!("the log filter `{}` is wrong: {error}; try `info`", log.filter))
    })?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let logs = logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // Only a test that runs several commands in one process starts logging twice, and keeps the first.
    let _ = match log.format.as_str() {
        "json" => logs.json().try_init(),
        _ => logs.try_init(),
    };
    Ok(())
}
