//! Aggregators under random folds: against exact oracles, in any order, split anywhere, and fed broken bytes.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod aggregates {
    mod exact;
    mod kept;
    mod laws;
    mod oracle;
    mod random;
    mod sketches;
    mod splitmix;
}
