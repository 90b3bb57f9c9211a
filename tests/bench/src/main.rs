//! The benchmarks behind `cargo xtask bench`: what the sandbox, the backfill, the online server and workers cost beside
//! the same work without them.
//!
//! Reading order: `catalog` (what is measured against what), `measure` (medians in turns), then `sandbox`,
//! `flags`, `backfill`, `online`, `release`, `windows`, `redis_store` and `kafka`; `guests` builds the components and `random` makes the data from a seed.

mod backfill;
mod catalog;
mod flags;
mod guests;
mod instructions;
mod kafka;
mod measure;
mod online;
mod random;
mod redis_store;
mod release;
mod report;
mod sandbox;
mod windows;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use trifold_cli::args::COMPILE_ONE;

use crate::measure::Effort;

/// That of the `trifold` command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Trifold against baselines in the same run and writes target/bench/report.json.
#[derive(Parser)]
#[command(name = "trifold-bench", bin_name = "cargo xtask bench")]
struct Arguments {
    /// Measure only entries whose names begin with this; may be repeated.
    #[arg(long, value_name = "NAME_PREFIX")]
    only: Vec<String>,
    /// Fewer and shorter measurements over less data, to see that everything runs.
    #[arg(long)]
    quick: bool,
    /// Say what there is to measure, and stop.
    #[arg(long)]
    list: bool,
    /// Count instructions instead of time, and compare them with the committed table; needs valgrind.
    #[arg(long)]
    instructions: bool,
    /// One case in a process of its own, whose instructions are counted.
    #[arg(long, hide = true, value_name = "JSON")]
    instructions_child: Option<String>,
    /// One backfill in a process of its own, whose memory is measured.
    #[arg(long, hide = true, value_name = "JSON")]
    backfill_child: Option<String>,
    /// A worker, or what it is measured against, in a process of its own.
    #[arg(long, hide = true, value_name = "JSON")]
    kafka_child: Option<String>,
    /// The `trifold` command in a process of its own, whose start is measured.
    #[arg(long, hide = true, value_name = "JSON")]
    trifold_child: Option<String>,
    /// One backfill or sort in a process of its own, whose time and memory are measured.
    #[arg(long, hide = true, value_name = "JSON")]
    point_in_time_child: Option<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    if std::env::args_os().nth(1).is_some_and(|word| word == COMPILE_ONE) {
        return Ok(trifold_sandbox::compile_one());
    }
    run(&Arguments::parse()).map(|()| ExitCode::SUCCESS)
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(json) = &arguments.backfill_child {
        return backfill::memory::child(json);
    }
    if let Some(json) = &arguments.point_in_time_child {
        return backfill::point_in_time::child(json);
    }
    if let Some(json) = &arguments.kafka_child {
        return kafka::child(json);
    }
    if let Some(json) = &arguments.trifold_child {
        return release::start::child(json);
    }
    if let Some(json) = &arguments.instructions_child {
        return instructions::child(json);
    }
    if arguments.list {
        return say(&catalog::list());
    }
    let effort = if arguments.quick { Effort::Quick } else { Effort::Full };
    let wanted =
        |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| name.starts_with(only));
    if !catalog::all().any(|measured| wanted(measured.name)) {
        anyhow::bail!("nothing to measure has a name like that; `--list` names everything");
    }
    if arguments.instructions {
        return instructions::run(&wanted);
    }
    let mut entries = Vec::new();
    for (names, run) in [
        (sandbox::NAMES, sandbox::run as catalog::Run),
        (flags::NAMES, flags::run),
        (online::NAMES, online::run),
        (online::WIDE_NAMES, online::run_wide),
        (release::NAMES, release::run),
        (backfill::NAMES, backfill::run),
        (windows::NAMES, windows::run),
        (redis_store::NAMES, redis_store::run),
        (kafka::NAMES, kafka::run),
    ] {
        if names.iter().any(|name| wanted(name)) {
            entries.extend(run(effort, &wanted).with_context(|| format!("measuring {}", names.join(", ")))?);
        }
    }
    entries.retain(|entry| wanted(entry.name));
    let path = report::write(&entries)?;
    say(&report::table(&entries))?;
    say(&format!("written to {}\n", path.display()))
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
