//! What a release of a new component costs before it serves: admission, with compilation in a process of its own as
//! `trifold` does it, and with code from the compile cache; each beside the bare engine, in this process.

use std::hint::black_box;
use std::time::Instant;

use anyhow::ensure;
use trifold_cli::args::COMPILE_ONE;
use trifold_sandbox::{CompileLimits, Compiler, Sandbox, SandboxConfig};
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use crate::guests::{self, Guest};
use crate::measure::{Effort, in_turns, median};
use crate::report::Entry;

/// A component, and what is measured of it.
struct Compiled {
    guest: Guest,
    cold: &'static str,
    cached: &'static str,
}

/// The stock components, and one row view and one window view of the examples.
const COMPILED: [Compiled; 4] = [
    Compiled {
        guest: Guest::CALENDAR,
        cold: "release.compile.cold.calendar",
        cached: "release.compile.cached.calendar",
    },
    Compiled {
        guest: Guest::TEXT_EMBEDDING,
        cold: "release.compile.cold.text_embedding",
        cached: "release.compile.cached.text_embedding",
    },
    Compiled {
        guest: Guest::FLIGHT_PROFILE,
        cold: "release.compile.cold.flight_profile",
        cached: "release.compile.cached.flight_profile",
    },
    Compiled {
        guest: Guest::CARD_SPEND,
        cold: "release.compile.cold.card_spend",
        cached: "release.compile.cached.card_spend",
    },
];

/// The entries of this module.
pub(crate) const NAMES: [&str; 8] = [
    COMPILED[0].cold,
    COMPILED[0].cached,
    COMPILED[1].cold,
    COMPILED[1].cached,
    COMPILED[2].cold,
    COMPILED[2].cached,
    COMPILED[3].cold,
    COMPILED[3].cached,
];

pub(crate) fn run(effort: Effort, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>> {
    let bare = Engine::new(Config::new().consume_fuel(true))?;
    let mut entries = Vec::new();
    for Compiled { guest, cold, cached } in COMPILED {
        if !wanted(cold) && !wanted(cached) {
            continue;
        }
        let wasm = guests::component(guest)?;
        if wanted(cold) {
            entries.push(compile_cold(cold, effort, &bare, &wasm)?);
        }
        if wanted(cached) {
            entries.push(load_cached(cached, effort, &bare, &wasm)?);
        }
    }
    Ok(entries)
}

/// In milliseconds.
fn compile_cold(name: &'static str, effort: Effort, bare: &Engine, wasm: &[u8]) -> anyhow::Result<Entry> {
    let compiler = Compiler {
        program: std::env::current_exe()?,
        arguments: vec![COMPILE_ONE.into()],
        limits: CompileLimits::default(),
    };
    let sandbox = Sandbox::new(SandboxConfig { compiler: Some(compiler), ..SandboxConfig::default() })?;
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..effort.choose(15, 2) {
        let start = Instant::now();
        black_box(sandbox.admit(wasm)?);
        ours.push(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        black_box(bare.precompile_component(wasm)?);
        baseline.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Entry::new(name, median(ours), median(baseline))
}

/// In microseconds.
fn load_cached(name: &'static str, effort: Effort, bare: &Engine, wasm: &[u8]) -> anyhow::Result<Entry> {
    let directory = tempfile::tempdir()?;
    let config = SandboxConfig { cache_dir: Some(directory.path().join("cache")), ..SandboxConfig::default() };
    let sandbox = Sandbox::new(config)?;
    sandbox.admit(wasm)?;
    let kept = std::fs::read_dir(directory.path().join("cache"))?.count();
    ensure!(kept == 1, "{kept} files in the compile cache instead of 1");
    let code = bare.precompile_component(wasm)?;
    #[expect(unsafe_code, reason = "the code was made by this engine a moment ago")]
    let load = || unsafe { Component::deserialize(bare, &code) };
    load()?;
    let (value, baseline) = in_turns(
        effort,
        // The first ones would have failed too.
        || drop(black_box(sandbox.admit(black_box(wasm)))),
        || drop(black_box(load())),
    );
    Entry::new(name, value / 1e3, baseline / 1e3)
}
