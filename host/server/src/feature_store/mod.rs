//! The features of entities by their ids, for clients that know neither views nor columns.
//! `proto/feature_store/feature_store.proto` is the contract. Its answers are made of those of a lookup, so that nothing
//! is decided here but names and words.
//!
//! Reading order: [`api`] is the generated contract; [`offered`] says which of the configured views can be served, and
//! why others cannot; `names` finds what is asked for, `ids` makes keys of ids, [`service`] asks and answers, `values`
//! writes values.

pub mod api;
mod ids;
mod names;
pub(crate) mod offered;
pub(crate) mod service;
mod values;
