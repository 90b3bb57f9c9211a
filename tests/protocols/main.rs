//! What is asked of the online server by HTTP and by ids: equal values, told problems, and no harm by what is hostile.

#![expect(clippy::unwrap_used, reason = "tests fail where they stand")]

mod by_id;
mod hostile;
mod openapi;
mod refusals;
mod site;
mod slow;
mod types;
