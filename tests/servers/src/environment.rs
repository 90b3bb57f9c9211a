//! What is set from outside.

use std::ffi::OsString;

/// The value of an environment variable, if it is set to anything.
#[expect(
    clippy::disallowed_methods,
    reason = "no configuration of trifold: it says which servers tests use, and which seeds"
)]
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
