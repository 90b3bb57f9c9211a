//! What commands take that compute values, look them up, or say where they come from.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use trifold_model::Positions;

use super::{KafkaCluster, Log, Redis, Server};

/// The offset in a log of one partition, or the offset of each partition.
fn positions(text: &str) -> Result<Positions, String> {
    let offset = |text: &str| text.parse::<u64>().map_err(|error| format!("`{text}` is no offset: {error}"));
    if !text.contains(':') {
        return Ok(Positions([(0, offset(text)?)].into()));
    }
    let mut positions = Positions::default();
    for part in text.split(',') {
        let (partition, next) = part.split_once(':').unwrap_or((part, ""));
        let partition = partition.parse().map_err(|error| format!("`{partition}` is no partition: {error}"))?;
        if positions.0.insert(partition, offset(next)?).is_some() {
            return Err(format!("partition {partition} stands twice"));
        }
    }
    Ok(positions)
}

/// `trifold backfill`.
#[derive(Debug, Args)]
pub struct Backfill {
    /// The view and the version, as in `flight_profile@2`; without `@` the version in force. Several with --materialize
    #[arg(value_name = "VIEW", required = true)]
    pub versions: Vec<String>,
    /// The recorded events
    #[command(flatten)]
    pub log: Log,
    /// The directory to write
    #[arg(long, short, value_name = "DIR", required_unless_present = "materialize")]
    pub out: Option<PathBuf>,
    /// Compute each event's row with the version that the stream used for it, as the store of the data directory recorded
    /// it, or for an archive the group's topics: the rows that were emitted, those of each version in a directory of its own
    #[arg(long, conflicts_with_all = ["materialize", "spine", "reads", "cut", "position", "before"])]
    pub follow_releases: bool,
    /// The cluster whose topics tell it
    #[command(flatten)]
    pub cluster: KafkaCluster,
    /// Put the state as of the end of the log into the online store, for `trifold serve`, and write no rows: into the
    /// embedded store, or the Redis that is named or configured
    #[arg(long, conflicts_with_all = [
        "out", "spine", "reads", "cut", "position", "before", "digest", "rows_format", "shards", "threads"
    ])]
    pub materialize: bool,
    /// The Redis to put it into
    #[command(flatten)]
    pub redis: Redis,
    /// The rows to ask at, Parquet or JSON lines with the entity's fields (for an on-demand view: the request fields)
    /// and `as_of`; every event if not given
    #[arg(long, value_name = "FILE")]
    pub spine: Option<PathBuf>,
    /// The spine's column of as-of times
    #[arg(long, default_value = "as_of", value_name = "COLUMN", requires = "spine")]
    pub as_of_column: String,
    /// A version of a view that an on-demand view reads, as in `card_load@2`; may be repeated [default: the version in
    /// force, or the newest where nothing was released]
    #[arg(long = "reads", value_name = "VIEW@N")]
    pub reads: Vec<String>,
    /// What was known when a value was asked for [default: arrival for a spine where arrivals are recorded, else all]
    #[arg(long, value_enum)]
    pub cut: Option<CutName>,
    /// With `--cut position`: only events before this offset, or of an archive before these, as in `0:120,1:98`; each
    /// event's own position if not given
    #[arg(long, value_name = "OFFSET", value_parser = positions)]
    pub position: Option<Positions>,
    /// Leave out events at exactly the as-of time
    #[arg(long)]
    pub before: bool,
    /// Add the digest of each row
    #[arg(long)]
    pub digest: bool,
    /// The format of the output
    #[arg(long, default_value = "parquet", value_parser = ["parquet", "jsonl"])]
    pub rows_format: String,
    /// How many files to split the output into, by hash of the entity key; at most so many, in the order of the log,
    /// where events need no sorting; by row of the spine for an on-demand view
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub shards: u32,
    /// The memory that sorting may use before it spills to disk, in mebibytes [default: 512]
    #[arg(long, env = "TRIFOLD_MEMORY_MIB", value_name = "MIB")]
    pub memory_mib: Option<u64>,
    /// How many threads work; 0 takes one per processor
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Replace an output directory made with other parameters, or with --materialize a state that comes from elsewhere
    #[arg(long)]
    pub overwrite: bool,
}

/// The cut of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CutName {
    /// Every recorded event
    All,
    /// Events that had arrived by the as-of time, so that nothing leaks from later
    Arrival,
    /// Events up to a position of the log, for audits
    Position,
}

/// `trifold get`.
#[derive(Debug, Args)]
pub struct Get {
    /// `view` for all features of a view, `view.feature` for one
    #[arg(required = true)]
    pub features: Vec<String>,
    /// One entity, or the request fields of on-demand views, as FIELD=VALUE pairs joined by commas, as in
    /// `carrier=UA,flight=1545`, or as a JSON object of texts; may be repeated
    #[arg(long = "key", required = true, value_name = "FIELD=VALUE,...")]
    pub keys: Vec<String>,
    /// An event that no log has yet, as a JSON object: it counts for this answer alone, which is then the row that the
    /// stream emits when the event arrives. The key fields may be left out. One for each key, in order
    #[arg(long = "event", value_name = "JSON")]
    pub events: Vec<String>,
    /// The time that is asked for: RFC 3339, or microseconds since 1970 [default: the server's clock]. An answer is as
    /// of the latest event of the entity if that is later: a server keeps no history
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<String>,
    /// How long to wait for the answer, in milliseconds; the server stops working for it then [default: as long as the
    /// server takes]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub deadline_ms: Option<u64>,
    /// The server
    #[command(flatten)]
    pub server: Server,
}

/// `trifold explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The view and the version, as in `flight_profile@2`; without `@` the version in force
    #[arg(value_name = "VIEW")]
    pub version: String,
    /// The entity: the values of its key fields in declared order, or of an on-demand view's request fields
    #[arg(allow_negative_numbers = true)]
    pub entity: Vec<String>,
    /// The same as FIELD=VALUE pairs joined by commas, or as a JSON object of texts, as `get` takes it: request fields
    /// that may be null may be left out
    #[arg(long, value_name = "FIELD=VALUE,...")]
    pub key: Option<String>,
    /// The time that is asked for: RFC 3339, or microseconds since 1970
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub as_of: String,
    /// The recorded events
    #[command(flatten)]
    pub log: Log,
    /// What was known when the value was asked for [default: arrival where arrivals are recorded, else all]
    #[arg(long, value_enum)]
    pub cut: Option<CutName>,
    /// With `--cut position`: only events before this offset, or of an archive before these, as in `0:120,1:98`
    #[arg(long, value_name = "OFFSET", value_parser = positions)]
    pub position: Option<Positions>,
    /// A version of a view that an on-demand view reads, as in `card_load@2`; may be repeated [default: the version in
    /// force, or the newest where nothing was released]
    #[arg(long = "reads", value_name = "VIEW@N")]
    pub reads: Vec<String>,
    /// Leave out events at exactly the as-of time
    #[arg(long)]
    pub before: bool,
    /// The most events to list; all of them are counted
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub events_max: usize,
}

/// `trifold audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// The view
    pub view: String,
    /// The recorded events
    #[command(flatten)]
    pub log: Log,
    /// Audit emitted rows: the directory that `trifold stream` wrote [default: the data directory's rows of the
    /// view, unless --online is given]
    #[arg(long, value_name = "DIR")]
    pub rows: Option<PathBuf>,
    /// Audit a running server: look up every entity of the log, or what `--spine` asks
    #[arg(long)]
    pub online: bool,
    /// With `--online`: the rows to ask, Parquet or JSON lines with the entity's fields (for an on-demand view, which
    /// needs it: the request fields), and `as_of` where they are to be asked at times of their own
    #[arg(long, value_name = "FILE", requires = "online")]
    pub spine: Option<PathBuf>,
    /// The spine's column of as-of times
    #[arg(long, default_value = "as_of", value_name = "COLUMN", requires = "spine")]
    pub as_of_column: String,
    /// With `--online`: the time that is asked for, RFC 3339 or microseconds since 1970, whatever the spine says. For an
    /// old log choose one at which its values are alive [default: the spine's times, else the server's clock]
    #[arg(long, value_name = "TIME", requires = "online")]
    pub as_of: Option<String>,
    /// The server
    #[command(flatten)]
    pub server: Server,
    /// The most mismatches to print
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub show: usize,
}
