//! Views as authors write them, called as the host calls them.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod views {
    mod describe;
    mod echo;
    mod layout;
    mod refusal;
}
