//! The components that are measured, built from their crates like any author's.

use std::path::{Path, PathBuf};

use anyhow::Context;
use trifold_author::{BuildOptions, build};
use trifold_sandbox::{Sandbox, SandboxConfig, Transform};

/// The workspace's root.
pub(crate) fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_owned()
}

/// A transform crate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guest {
    path: &'static str,
    features: &'static [&'static str],
}

impl Guest {
    /// Three floats in, three out.
    pub(crate) const NUMERIC: Guest = Guest { path: "tests/bench/guests/numeric", features: &[] };
    /// Three texts in, two and a hash out.
    pub(crate) const TEXT: Guest = Guest { path: "tests/bench/guests/text", features: &[] };
    /// Fifty columns in, fifty out.
    pub(crate) const WIDE: Guest = Guest { path: "tests/bench/guests/wide", features: &[] };
    /// Five aggregates over three windows, folded in any order.
    pub(crate) const WINDOW: Guest = Guest { path: "tests/bench/guests/window", features: &[] };
    /// The same, folded in the order of time.
    pub(crate) const WINDOW_ORDERED: Guest = Guest { path: "tests/bench/guests/window", features: &["ordered"] };
    /// The same over one window of 300 tiles.
    pub(crate) const WINDOW_FINE: Guest = Guest { path: "tests/bench/guests/window", features: &["fine"] };
    /// 50 features of an entity.
    pub(crate) const MANY: Guest = Guest { path: "tests/bench/guests/many", features: &[] };
    /// 250.
    pub(crate) const MANY_LARGE: Guest = Guest { path: "tests/bench/guests/many", features: &["large"] };
    /// Ten aggregates over five windows.
    pub(crate) const MANY_WINDOW: Guest = Guest { path: "tests/bench/guests/many", features: &["window"] };
    /// Twenty-five aggregates over ten windows.
    pub(crate) const MANY_WINDOW_LARGE: Guest =
        Guest { path: "tests/bench/guests/many", features: &["window", "large"] };
    /// The stock view of moments.
    pub(crate) const CALENDAR: Guest = Guest { path: "transforms/calendar", features: &[] };
    /// The stock view of texts.
    pub(crate) const TEXT_EMBEDDING: Guest = Guest { path: "transforms/text-embedding", features: &[] };
    /// The example's window view of payments.
    pub(crate) const CARD_SPEND: Guest = Guest { path: "examples/payments/card-spend", features: &[] };
    /// The example's view of flights.
    pub(crate) const FLIGHT_PROFILE_FIRST: Guest =
        Guest { path: "examples/flights/flight-profile", features: &[] };
    /// The example's view of flights, whose second version has ten features.
    pub(crate) const FLIGHT_PROFILE: Guest = Guest { path: "examples/flights/flight-profile", features: &["v2"] };
}

/// The component of a crate.
pub(crate) fn component(guest: Guest) -> anyhow::Result<Vec<u8>> {
    let mut options = BuildOptions::new(workspace().join(guest.path));
    options.features = guest.features.iter().map(|feature| (*feature).to_owned()).collect();
    // The examples' own components stay as they are.
    options.out = Some(workspace().join("target/bench/guests"));
    let mut said = Vec::new();
    let built = build(&options, &mut |line| said.push(line.to_owned()));
    Ok(built.with_context(|| format!("building {}:\n{}", guest.path, said.join("\n")))?.component)
}

/// The component of a crate, admitted by a sandbox with the default settings.
pub(crate) fn transform(guest: Guest) -> anyhow::Result<Transform> {
    let sandbox = Sandbox::new(SandboxConfig::default())?;
    Ok(sandbox.admit(&component(guest)?)?)
}
