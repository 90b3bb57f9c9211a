//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use payments_generator::{Config, Share, Shares};
use trifold_eventlog::RowFormat;

const SHARES: &str = "Payments that are not as they should be";
const SPINE: &str = "Spine";

/// Card payments from a seed, as a log that `trifold stream`, `up` and `backfill` read.
///
/// The same flags give the same files on every machine. Payments stand in the order in which they arrive; `arrived_at`
/// says when, so name it with `--arrival arrived_at`. Few cards pay often and many seldom: c-1 is the busiest.
#[derive(Debug, Parser)]
#[command(
    name = "payments-generator",
    version,
    max_term_width = 110,
    after_help = "Examples:\n  payments-generator --out payments/\n  payments-generator --events 10000 --cards 200 --per-day 10000 --out payments/ --spine labels.parquet\n  payments-generator --late 5% --duplicate 0% --files 4 --format jsonl --out payments/\n\nExit codes:\n    0  success\n   64  the command line is wrong\n   74  reading or writing failed"
)]
pub(crate) struct Args {
    /// The directory to write the log into; new or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How many events, copies included
    #[arg(long, default_value_t = Config::default().events, value_name = "N")]
    events: u64,
    /// How many cards there are
    #[arg(long, default_value_t = Config::default().cards, value_name = "N")]
    cards: u64,
    /// How many merchants there are
    #[arg(long, default_value_t = Config::default().merchants, value_name = "N")]
    merchants: u64,
    /// How many payments happen in a day; the first happens at the beginning of 2026
    #[arg(long, default_value_t = Config::default().per_day, value_name = "N")]
    per_day: u64,
    /// What all chance comes from
    #[arg(long, default_value_t = Config::default().seed)]
    seed: u64,
    /// The format of all files
    #[arg(long, value_enum, default_value_t = Format::Parquet)]
    pub(crate) format: Format,
    /// How many files to split the log into
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) files: u32,
    /// Arrive up to 15 minutes late, after younger ones, and count
    #[arg(long, help_heading = SHARES, default_value_t = Shares::default().out_of_order, value_name = "SHARE")]
    out_of_order: Share,
    /// Arrive one to three hours late, which is too late for the views of the example
    #[arg(long, help_heading = SHARES, default_value_t = Shares::default().late, value_name = "SHARE")]
    late: Share,
    /// Happened one to five minutes after their arrival, by a clock that is ahead, which the views do not take
    #[arg(long, help_heading = SHARES, default_value_t = Shares::default().early, value_name = "SHARE")]
    early: Share,
    /// Arrive twice
    #[arg(long, help_heading = SHARES, default_value_t = Shares::default().duplicate, value_name = "SHARE")]
    duplicate: Share,
    /// Arrive twice, the second time with another amount
    #[arg(long, help_heading = SHARES, default_value_t = Shares::default().conflicting, value_name = "SHARE")]
    conflicting: Share,
    /// Write moments to ask at as well: card, as_of, the amount and country of a purchase, and a label
    #[arg(long, help_heading = SPINE, value_name = "FILE")]
    pub(crate) spine: Option<PathBuf>,
    /// How many rows the spine has
    #[arg(long, help_heading = SPINE, default_value_t = 10_000, value_name = "N", requires = "spine")]
    pub(crate) spine_rows: u64,
}

/// The format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Parquet.
    Parquet,
    /// JSON lines.
    Jsonl,
}

impl From<Format> for RowFormat {
    fn from(format: Format) -> RowFormat {
        match format {
            Format::Parquet => RowFormat::Parquet,
            Format::Jsonl => RowFormat::JsonLines,
        }
    }
}

impl Args {
    /// What to generate.
    pub(crate) fn config(&self) -> Config {
        let Args { seed, events, cards, merchants, per_day, .. } = *self;
        let Args { out_of_order, late, early, duplicate, conflicting, .. } = *self;
        let shares = Shares { out_of_order, late, early, duplicate, conflicting };
        Config { seed, events, cards, merchants, per_day, shares }
    }
}
