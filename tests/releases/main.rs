//! A server that runs while versions are released: [`swap`] under load, [`damage`] in the registry, [`snapshot`]
//! within a request, [`storm`] again and again; and what may happen meanwhile: a process that is [`cut_off`] while it
//! pushes, versions that [`trap`], processes that [`race`], servers that are [`down`], and [`clocks`] that are wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod clocks;
mod cut_off;
mod damage;
mod down;
mod legs;
mod processes;
mod race;
mod rig;
mod snapshot;
mod storm;
mod swap;
mod trap;
