//! Window views as authors write them, called as the host calls them.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]
#![allow(dead_code, reason = "the host alone reads the key of an event")]

mod windows {
    mod batches;
    mod calls;
    mod describe;
    mod laws;
    mod own;
    mod prepared;
}
