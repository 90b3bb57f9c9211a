//! Card payments with late, early, out-of-order, duplicate and conflicting events, in every runner.
//!
//! [`log`] are the payments, and which of them count, by the rule and not by the pipeline; [`site`] the views over them.
//! [`cuts`] holds the stream against backfills at each row's position and with all that came later, [`in_hand`] lookups
//! with a payment in hand against the row that the stream emits for it, [`risk`] the view that is computed on demand,
//! [`command`] what the command counts and audits, and [`materialize`] what it loads into the online stores,
//! in [`archived`] from an archive; [`bootstrap`] builds the state of a version beside the one in force, [`faults`] lets a
//! Redis fail under a server, and [`python`] runs the example's model service.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod archived;
mod bootstrap;
mod command;
mod cuts;
mod faults;
mod in_hand;
mod log;
mod materialize;
mod python;
mod risk;
mod site;
