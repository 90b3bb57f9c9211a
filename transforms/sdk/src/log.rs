//! Lines for the host's log. The host may drop lines beyond its rate; nothing ever comes back. Under native
//! tests the lines go to standard error.

use crate::bindings::trifold::feature::diagnostics::Level;

/// Logs what only the author wants to know.
pub fn debug(message: impl AsRef<str>) {
    line(Level::Debug, message.as_ref());
}

/// Logs what is good to know.
pub fn info(message: impl AsRef<str>) {
    line(Level::Info, message.as_ref());
}

/// Logs what somebody should look at.
pub fn warn(message: impl AsRef<str>) {
    line(Level::Warn, message.as_ref());
}

/// Logs what somebody must look at.
pub fn error(message: impl AsRef<str>) {
    line(Level::Error, message.as_ref());
}

#[cfg(target_arch = "wasm32")]
fn line(level: Level, message: &str) {
    crate::bindings::trifold::feature::diagnostics::log(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
#[expect(clippy::print_stderr, reason = "outside a host, a test's output is the only log there is")]
fn line(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}
