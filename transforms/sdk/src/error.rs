//! A row's refusal.

use std::fmt;

/// Why a transform refuses a row. The code becomes part of the row's value, in every runner alike; the message
/// goes to the log and to whoever asks why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    pub(crate) code: u16,
    pub(crate) message: String,
}

impl RowError {
    /// The code of errors made from a bare message.
    pub const DEFAULT_CODE: u16 = 1;
    /// The largest code that a transform may use; those above belong to the host.
    pub const CODE_MAX: u16 = 0xFEFF;

    /// A refusal with a code of the author's choice, 1 to 65279.
    ///
    /// # Panics
    ///
    /// If the code is outside that range: the host would not know the row's value.
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        assert!((1..=Self::CODE_MAX).contains(&code), "row error code {code} is outside 1 to {}", Self::CODE_MAX);
        RowError { code, message: message.into() }
    }

    /// The code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<&str> for RowError {
    fn from(message: &str) -> Self {
        RowError::new(Self::DEFAULT_CODE, message)
    }
}

impl From<String> for RowError {
    fn from(message: String) -> Self {
        RowError::new(Self::DEFAULT_CODE, message)
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

impl std::error::Error for RowError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_message_has_code_one() {
        assert_eq!(RowError::from("too short"), RowError::new(1, String::from("too short")));
        assert_eq!(RowError::new(7, "no wings").to_string(), "no wings (code 7)");
    }

    #[test]
    #[should_panic(expected = "row error code 65280 is outside 1 to 65279")]
    fn the_hosts_codes_are_not_the_authors() {
        let _ = RowError::new(0xFF00, "trap");
    }
}
