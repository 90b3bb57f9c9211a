//! The command line: the commands, and what those take that run and write; in `registry` what those take that change the
//! registry or tell of it, with the `steps` of a canary, in `values` those that compute values or look them up, in
//! `loadtest` what the load on a server takes, and in `options` what several of them take.

mod loadtest;
mod options;
mod registry;
mod steps;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use trifold_model::ViewName;
use trifold_registry::PublicKey;
use trifold_stream::kafka::replay;

pub use self::loadtest::{Arrivals, Distribution, Loadtest};
pub use self::options::{
    Kafka, KafkaCluster, KafkaValues, Log, Operate, Processes, Redis, Samples, Server, Signature, Source,
    StreamLog, Watch,
};
pub use self::registry::{
    Check, Controller, Diff, Key, KeyCommand, OneView, Push, Release, Retire, Rollback, Sign, Status, TryOut,
};
pub use self::steps::CanarySteps;
pub use self::values::{Audit, Backfill, CutName, Explain, Get};
use crate::config::{listen_address, public_key, registry_place};

/// Feature transforms written once, run as the same WebAssembly component in streams, backfills and the online
/// server, with the same bytes.
///
/// A first run: `trifold new my_view`, `trifold build my_view`, `trifold push my_view/target/trifold/my_view.wasm
/// --release`, `trifold up --events my_view/sample.jsonl`, and in another shell `trifold get my_view --key card=c-17
/// --as-of 2026-01-05T12:00:00Z`.
#[derive(Debug, Parser)]
#[command(name = "trifold", version, max_term_width = 110, after_long_help = crate::exit::help())]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The word with which the program calls itself to compile one component. It is for nobody else, so the help has none
/// of it.
pub const COMPILE_ONE: &str = "compile-one";

const GLOBAL: &str = "Options of every command";

/// A count that may not be zero.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("it is no count: {error}")),
    }
}

/// What holds for every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The configuration file [default: trifold.toml, if there is one]
    #[arg(long, global = true, help_heading = GLOBAL, env = "TRIFOLD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The directory of registry, store, emitted rows and caches [default: .trifold]
    #[arg(long, global = true, help_heading = GLOBAL, env = "TRIFOLD_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The registry: a directory, or s3://BUCKET/PREFIX with credentials from AWS_ACCESS_KEY_ID and
    /// AWS_SECRET_ACCESS_KEY or a role [default: registry in the data directory]
    #[arg(long, global = true, help_heading = GLOBAL, env = "TRIFOLD_REGISTRY", value_name = "PLACE", value_parser = registry_place)]
    pub registry: Option<String>,
    /// Release and run only what one of these public keys has signed, separated by commas [default: every version]
    #[arg(long, global = true, help_heading = GLOBAL, env = "TRIFOLD_TRUSTED_KEYS", value_name = "KEY", value_delimiter = ',', value_parser = public_key)]
    pub trusted_keys: Vec<PublicKey>,
    /// What commands print: text for people, json for scripts
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Which log lines go to standard error, such as `info` [default: warn]
    #[arg(long, global = true, help_heading = GLOBAL, env = "TRIFOLD_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// The form of log lines: text or json [default: text]
    #[arg(long, global = true, help_heading = GLOBAL, env = "TRIFOLD_LOG_FORMAT", value_parser = ["text", "json"])]
    pub log_format: Option<String>,
}

/// The form of what commands print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON document on standard output.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a transform crate that builds, with a row view to start from
    #[command(after_help = "Example:\n  trifold new card_activity")]
    New(New),
    /// Build a transform crate to a component and print its digest
    #[command(
        after_help = "Examples:\n  trifold build\n  trifold build examples/flights/flight-profile --features v2 --out build/"
    )]
    Build(Build),
    /// Show what a component says of itself: view, fields, documentation, limits, and what made it
    #[command(
        after_help = "Examples:\n  trifold inspect target/trifold/card_activity.wasm\n  trifold inspect card_activity@2\n\nOf a version of the registry it also shows when and by whom it was pushed, and what the publish gate saw."
    )]
    Inspect(Inspect),
    /// Admit a component and run the publish gate over sample rows
    #[command(after_help = "Example:\n  trifold check target/trifold/card_activity.wasm --sample events.jsonl")]
    Check(Check),
    /// Check a component and put it into the registry as the next version of its view
    #[command(
        after_help = "Example:\n  trifold push target/trifold/card_activity.wasm --sample events.jsonl --release\n  trifold push target/trifold/card_activity.wasm --sign ci.key\n  trifold push target/trifold/card_activity.wasm --through http://127.0.0.1:7412 --release"
    )]
    Push(Push),
    /// Sign a version of the registry, for those who run only what is signed
    #[command(
        after_help = "Example:\n  trifold sign card_activity@2 --key ci.key\n\nWhat is signed is the component that the registry has under this version. To sign a file before anybody else can have touched it, sign it as it is pushed: `trifold push --sign`."
    )]
    Sign(Sign),
    /// Make a key that signs, or show the public key of one
    #[command(
        after_help = "Examples:\n  trifold key new ci.key\n  trifold key show ci.key\n\nThe file is the secret of whoever signs. The public key goes to those who run: in `trusted-keys` of the section `signatures` of their configuration file."
    )]
    Key(Key),
    /// Put a version of a view into force, as in `trifold release flight_profile@2`
    #[command(
        after_help = "Examples:\n  trifold release card_activity@2 --note \"counts refunds\"\n  trifold rollback card_activity    # and back again\n  trifold release card_activity@2 --canary 10%    # to some of the cards first\n  trifold release card_activity@2 --steps 10%:10m,50%:1h,100%    # step by step, by `trifold controller`"
    )]
    Release(Release),
    /// Take the release of a view that is in force back: what was in force before it is in force again
    #[command(
        after_help = "Example:\n  trifold rollback card_activity --note \"nulls since noon\"\n\nOnce more, it takes the release before that one back. Releases that somebody took back are passed over."
    )]
    Rollback(Rollback),
    /// Retire a version that is not used any more: it can be released no more, and its state goes
    #[command(
        after_help = "Examples:\n  trifold retire card_activity@1\n  trifold retire card_activity@1 --give-up-rollback --topics --redis redis://127.0.0.1:6379\n\nRefused while the version is in force, tried out, or what a rollback would bring back. The state goes from the data\ndirectory's store, from a Redis that is named, and with --topics from Kafka, unless a version that is not retired\nshares it. What was pushed stays, so that backfills of the past find it. Run it again if something was in the way."
    )]
    Retire(Retire),
    /// Take the steps of canaries while they do as well as the version in force, and take back those that do not
    #[command(
        after_help = "Example:\n  trifold release card_activity@2 --steps 10%:10m,50%:1h,100%\n  trifold controller --process http://127.0.0.1:7412,http://127.0.0.1:7413 --until-done\n\nIt asks all processes that serve what they see of errors, nulls, fuel and latency; the section `controller` of the\nconfiguration file says by how much a canary may do worse. With --until-done the exit code is 1 if one was taken\nback. Several controllers may run at once: of two that decide the same, one does it."
    )]
    Controller(Controller),
    /// List the views of the registry with their versions and releases
    Views,
    /// List the versions of a view: what was pushed, when, by whom
    #[command(after_help = "Example:\n  trifold versions card_activity")]
    Versions(OneView),
    /// List the releases of a view: what was in force from when on, by whom, and why
    #[command(after_help = "Example:\n  trifold releases card_activity")]
    Releases(OneView),
    /// Tell what processes run: which version of each view, by which release, since when, and what waits
    #[command(
        after_help = "Examples:\n  trifold status http://127.0.0.1:7412\n  trifold status http://127.0.0.1:7412 http://127.0.0.1:7413 --format json\n\nThe addresses are those of `--admin` of `trifold serve`, `stream` and `up`; without any, `processes` in the section `admin` of the configuration file says which."
    )]
    Status(Status),
    /// Compare two versions of a view: what they declare, and what they compute on sample rows
    #[command(
        after_help = "Examples:\n  trifold diff card_activity@1 card_activity@2\n  trifold diff card_activity new.wasm --sample events.jsonl\n\nValues are compared by their canonical bytes, never within a tolerance: over the rows of --sample, else over generated rows. A row view answers each row, a window view is folded and answers after every event, as the stream emits it; the sample of an on-demand view has its inputs as columns, features of other views among them. Only features that both versions have, with the same type, are compared. Where window views share their stored state, the states that both fold the sample to are compared too.\n\nExits with 0 whether or not anything differs, unless --exit-code is given."
    )]
    Diff(Diff),
    /// Apply a log of events to the online store and emit one row per event and view
    #[command(
        after_help = "Examples:\n  trifold stream --events events/\n  trifold stream --events events/ --follow --rows-format jsonl\n  trifold stream --topic flights --brokers localhost:9092 --worker a --follow\n\nEmitted rows are in DATA_DIR/rows, events that do not count in DATA_DIR/aside. Interrupted at any point, it goes on where it was, and each event counts once."
    )]
    Stream(Stream),
    /// Compute a view over recorded events, at every event or at the rows of a spine
    #[command(
        after_help = "Examples:\n  trifold backfill card_activity --events events/ --out rows/\n  trifold backfill card_activity@2 --events events/ --spine labels.parquet --cut arrival --arrival arrived_at --out training/\n  trifold backfill card_activity --events events/ --out emitted/ --follow-releases\n  trifold backfill card_activity --events archive/payments/ --out emitted/ --follow-releases --brokers 127.0.0.1:9092 --group scoring\n  trifold backfill card_spend card_profile --events history/ --materialize\n  trifold backfill card_spend --events archive/payments/ --materialize --redis redis://127.0.0.1:6379\n\nRun again with the same parameters, an interrupted backfill goes on with the files that it had not finished.\n\nAn on-demand view needs a spine of requests, whose columns are its request fields. The views that it reads are computed from the same events, in the versions in force or, where nothing was released, the newest, or in those that `--reads` names; events that do not count are listed by backfills of those views. Its files hold consecutive rows of the spine.\n\nWith --follow-releases the rows are those that `trifold stream` emitted, up to where it stands: each with the version, in force or a canary, that computed it first. The store of the data directory tells which, so that no worker may have it open meanwhile. For an archive of a topic, the topics of changes of the group tell it (--brokers, --group). Events that a load brought in have the row of the version that loaded them, if that was the one in force. Rows of versions 1 and 2 are in DIR/version-1 and DIR/version-2; every version takes a pass over the log.\n\nWith --materialize, `trifold serve` answers as if a stream had applied the log. The embedded store goes on where an earlier load ended, and `trifold stream --events` of the same log goes on behind it, with rows from there on. Into a Redis a load is brought as a whole: while it comes in, lookups are unavailable; `trifold materialize` of a group on Kafka later takes its place, and fills the state anew. A Redis that a group feeds is refused without --overwrite, and the feeder must be stopped before."
    )]
    Backfill(Backfill),
    /// Serve features over gRPC, and HTTP, from the store
    #[command(
        after_help = "Examples:\n  trifold serve --listen 0.0.0.0:7411\n  trifold serve --redis redis://127.0.0.1:6379\n  trifold serve --http 127.0.0.1:7413 --feature-store-views card_spend,card_profile\n\nNew releases are served without a restart. SIGTERM finishes the requests in flight."
    )]
    Serve(ServeFrom),
    /// Feed a Redis with what the workers on Kafka committed, for servers to look up
    #[command(
        after_help = "Examples:\n  trifold materialize --brokers localhost:9092 --redis redis://127.0.0.1:6379 --follow\n  trifold materialize --redis redis://127.0.0.1:7000,redis://127.0.0.1:7001 --redis-cluster\n\nIt reads the topics of changes that `trifold stream --topic` writes, and goes on from where the Redis stands. It may be killed at any time, and run twice for safety. A Redis that lost what it had is filled anew; lookups are unavailable until it is complete."
    )]
    Materialize(Materialize),
    /// Feed dead letters of workers on Kafka back after a fix: their records are appended to the topic once more
    #[command(
        after_help = "Examples:\n  trifold replay --dry-run\n  trifold replay card_spend --reason decode --group scoring --brokers localhost:9092\n  trifold replay --from 2026-01-05T22:00:00Z --to 2026-01-06T06:00:00Z\n\nFirst put the fix into force: release the version that does not fail, or restart the workers with the schema that reads the event. A record is fed as it was, to its own partition, and once: what was fed is noted in the topic GROUP.replayed, in the same transaction. So a replay may be interrupted and done again. A record that fails again has a new letter, which may be fed too.\n\nOther views over the topic have counted the event before and count its copy once, unless they count copies. It arrives when its field says so; by `--arrival _append_time` it arrives anew and may be late.\n\nWhat becomes of a letter:\n  fed          its record is in the topic of events once more (with --dry-run: would be)\n  fed-before   a replay fed it before, for this view or another\n  hopeless     it would fail again whatever changed: `conflict`, `other-key`\n  gone         the topic of events has deleted it; each is named"
    )]
    Replay(Replay),
    /// Keep the events of a topic as Parquet by day, beyond the topic's retention
    #[command(
        after_help = "Examples:\n  trifold archive --topic payments --brokers localhost:9092 --arrival arrived_at --follow\n  trifold archive --topic payments --arrival arrived_at --archive /mnt/archive/payments\n  trifold backfill card_spend --events /mnt/archive/payments --arrival arrived_at --cut position --out rows/\n  trifold audit card_spend --online --events /mnt/archive/payments --arrival arrived_at\n  trifold stream --topic payments --archive /mnt/archive/payments --arrival arrived_at --worker a --follow\n\nEach file holds consecutive events of one partition, of one day: by their arrivals, or without `--arrival` by the times of their records. Columns: partition, offset, arrival, timestamp, appended (whether the broker set it), key, event (the JSON that every view reads), and for a value that cannot be decoded raw and problem.\n\nIt may be killed at any time, and run twice for safety: where it goes on, the archive itself says, and no event is lost or there twice. What is read is in the archive once its file is finished: at the end of what there is, or with `--follow` after `archive.interval-ms`, at the end of a day, or when the file is large enough. SIGTERM finishes the files."
    )]
    Archive(Archive),
    /// Stream and serve in one process over the embedded store
    #[command(
        after_help = "Example:\n  trifold up --events events/",
        // The log is followed in any case.
        mut_arg("follow", |follow| follow.hide(true)),
        // What it serves is in the embedded store.
        mut_arg("topic", |topic| topic.hide(true)),
        mut_arg("brokers", |brokers| brokers.hide(true)),
        mut_arg("encoding", |encoding| encoding.hide(true)),
        mut_arg("schema", |schema| schema.hide(true)),
        mut_arg("schema_registry", |registry| registry.hide(true)),
        mut_arg("archive", |archive| archive.hide(true)),
        mut_arg("group", |group| group.hide(true)),
        mut_arg("worker", |worker| worker.hide(true)),
        mut_arg("stop_at", |stop| stop.help("Stop streaming before this offset and go on serving; without it the log is followed")),
    )]
    Up(Up),
    /// Remove a view's state from the store, so that the next `stream` replays the log for it
    #[command(
        after_help = "Examples:\n  trifold clear card_activity\n  trifold clear card_activity@3 --topics --redis redis://127.0.0.1:6379    # a build that was given up, on Kafka"
    )]
    Clear(Clear),
    /// Look features up over gRPC
    #[command(
        after_help = "Examples:\n  trifold get card_activity --key card=c-17\n  trifold get flight_profile.route flight_profile.lateness_risk --key carrier=UA,flight=1545 --key carrier=AA,flight=1141\n  trifold get card_load --key card=c-17 --event '{\"event_time\": \"2026-01-05T12:00:00Z\", \"event_id\": \"e-9\", \"amount\": 12.5}'"
    )]
    Get(Get),
    /// Put load on a server at a chosen rate, and measure how long its answers take
    #[command(after_long_help = loadtest::EXAMPLES, after_help = loadtest::EXAMPLES)]
    Loadtest(Loadtest),
    /// Show the events and tiles behind a value: which events count, and why the others do not
    #[command(
        after_help = "Examples:\n  trifold explain card_load c-17 --events events/ --as-of 2026-01-05T12:00:00Z\n  trifold explain flight_profile@2 UA 1545 --events events/ --as-of 2013-01-17T18:00:00Z\n  trifold explain departure_context --key origin=JFK,dep_delay=30 --events events/ --as-of 2013-01-17T18:00:00Z\n\nThe value is the one that a backfill gives a spine with this row: same version, same cut, same bytes. The log is read once, from its beginning to its end. Events are listed the latest first. Where there are more than --events-max, those come first that might have counted by their time and do not, then those that count or that another supersedes, and after them those that lie after the as-of time or before every window, always the nearest.\n\nWhat becomes of an event:\n  counts               it is in the windows that are named\n  decides              it is the latest, and so the value of a row view\n  superseded           another event is later\n  duplicate, conflict  an event of the same time and id came first, and is equal or differs\n  late, early          it arrived later after its time, or longer before it, than the view allows\n  after-as-of          it happened after the as-of time; with --before also at it\n  arrived-after-as-of  it had not arrived by the as-of time (--cut arrival)\n  behind-cut           it stands at or behind the position (--cut position)\n  before-windows       it is older than what the windows cover\n  refused              the view refuses it, with its code\n  decode, null-input, null-time, too-large\n                       it cannot be read as an event of the view"
    )]
    Explain(Explain),
    /// Replay what the stream emitted or the server answers through a backfill and compare bytes
    #[command(
        after_help = "Examples:\n  trifold audit card_activity --events events/\n  trifold audit card_activity --events events/ --online --server http://127.0.0.1:7411\n  trifold audit card_risk --events events/ --online --spine requests.parquet\n\nAn answer of an on-demand view is replayed with the versions that it names, each at the position that it names.\n\nExits with 1 and names the first differing field if anything differs."
    )]
    Audit(Audit),
    /// Print the configuration: defaults, file, and what holds for every command
    Config,
}

/// `trifold new`.
#[derive(Debug, Args)]
pub struct New {
    /// The name of the crate and of its first view: lower-case letters, digits, `-` and `_`
    pub name: String,
    /// Where to make the crate's directory
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub parent: PathBuf,
    /// The source of trifold-sdk to depend on
    #[arg(long, env = "TRIFOLD_SDK", value_name = "DIR")]
    pub sdk: Option<PathBuf>,
}

/// `trifold build`.
#[derive(Debug, Args)]
pub struct Build {
    /// The crate's directory
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Cargo features to build with, separated by commas
    #[arg(long, value_delimiter = ',')]
    pub features: Vec<String>,
    /// The directory to write the component into [default: target/trifold of the crate's workspace]
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Fail if Cargo.lock is missing or would change, so that the same dependencies give the same digest
    #[arg(long)]
    pub locked: bool,
    /// Do not use the network
    #[arg(long)]
    pub offline: bool,
}

/// `trifold inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The component: a file, or a version of the registry as in `card_activity@2`; without `@` the version in force
    pub component: String,
}

/// `trifold stream`.
#[derive(Debug, Args)]
pub struct Stream {
    /// The log to read
    #[command(flatten)]
    pub log: StreamLog,
    /// The topic to read
    #[command(flatten)]
    pub kafka: Kafka,
    /// The cluster that has it
    #[command(flatten)]
    pub cluster: KafkaCluster,
    /// The views to apply, separated by commas [default: every view in force]
    #[arg(long, value_delimiter = ',')]
    pub views: Vec<String>,
    /// Go on as the log grows, until interrupted
    #[arg(long)]
    pub follow: bool,
    /// Stop before this offset
    #[arg(long, value_name = "OFFSET", conflicts_with = "follow")]
    pub stop_at: Option<u64>,
    /// The most events of one step: one file of rows per view [default: 65536]
    #[arg(long, env = "TRIFOLD_STEP_ROWS", value_name = "N", value_parser = at_least_one)]
    pub step_rows: Option<usize>,
    /// How long steps may be kept in memory before they are written to the store together; 0 writes each by itself
    /// [default: 5000]
    #[arg(long, env = "TRIFOLD_CHECKPOINT_INTERVAL_MS", value_name = "MS")]
    pub checkpoint_interval_ms: Option<u64>,
    /// The format of emitted rows [default: parquet]
    #[arg(long, value_parser = ["parquet", "jsonl"])]
    pub rows_format: Option<String>,
    /// Keep values beside the records that they were computed from, so that lookups need not compute them again
    /// [default: true]
    #[arg(long, env = "TRIFOLD_KEEP_OUTPUTS", value_name = "BOOL")]
    pub keep_outputs: Option<bool>,
    /// The Redis, with `--materialize`
    #[command(flatten)]
    pub redis: Redis,
    /// Who may watch it
    #[command(flatten)]
    pub watch: Watch,
    /// Who may operate it
    #[command(flatten)]
    pub operate: Operate,
}

/// How to serve.
#[derive(Debug, Args)]
pub struct Serve {
    /// The address to listen on; port 0 takes a free one [default: 127.0.0.1:7411]
    #[arg(long, env = "TRIFOLD_LISTEN", value_name = "ADDRESS", value_parser = listen_address)]
    pub listen: Option<String>,
    /// Answer lookups over HTTP, too, in JSON, at this address; GET /openapi.json describes them [default: nowhere]
    #[arg(long, env = "TRIFOLD_HTTP", value_name = "ADDRESS", value_parser = listen_address)]
    pub http: Option<String>,
    /// Serve these views by their entities' ids, too, in the contract `feature_store`, separated by commas [default: none]
    #[arg(long, env = "TRIFOLD_FEATURE_STORE_VIEWS", value_name = "VIEW", value_delimiter = ',')]
    pub feature_store_views: Vec<ViewName>,
}

/// `trifold serve`.
#[derive(Debug, Args)]
pub struct ServeFrom {
    /// How to serve
    #[command(flatten)]
    pub serve: Serve,
    /// What to read instead of the embedded store
    #[command(flatten)]
    pub redis: Redis,
    /// Who may operate it
    #[command(flatten)]
    pub operate: Operate,
    /// Who may watch it
    #[command(flatten)]
    pub watch: Watch,
}

/// `trifold materialize`.
#[derive(Debug, Args)]
pub struct Materialize {
    /// Where the changes are
    #[command(flatten)]
    pub cluster: KafkaCluster,
    /// What to feed
    #[command(flatten)]
    pub redis: Redis,
    /// The views to feed, separated by commas [default: every view in force]
    #[arg(long, value_delimiter = ',')]
    pub views: Vec<String>,
    /// Go on as workers commit, until interrupted
    #[arg(long)]
    pub follow: bool,
    /// Who may watch it
    #[command(flatten)]
    pub watch: Watch,
}

/// `trifold replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The views whose dead letters are fed back [default: all that have any]
    #[arg(value_name = "VIEW")]
    pub views: Vec<String>,
    /// Where the letters are
    #[command(flatten)]
    pub cluster: KafkaCluster,
    /// Only letters of these reasons, separated by commas, such as `decode,row-error`
    #[arg(long = "reason", value_delimiter = ',', value_name = "REASON", value_parser = replay::reasons())]
    pub reasons: Vec<String>,
    /// Only letters that were written at this time or later: RFC 3339, or microseconds since 1970
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only letters that were written before this time
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Look what would be fed, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `trifold archive`.
#[derive(Debug, Args)]
pub struct Archive {
    /// The topic of events
    #[arg(long, env = "TRIFOLD_TOPIC", value_name = "TOPIC")]
    pub topic: String,
    /// The directory of the archive [default: the data directory's archive/TOPIC]
    #[arg(long, env = "TRIFOLD_ARCHIVE", value_name = "DIR")]
    pub archive: Option<PathBuf>,
    /// The field of the arrival time, where arrivals are recorded, or `_append_time` for when the broker appended the
    /// record; an archive keeps to the one that it was begun with
    #[arg(long, env = "TRIFOLD_ARRIVAL", value_name = "FIELD")]
    pub arrival: Option<String>,
    /// Go on as the topic grows, until interrupted
    #[arg(long)]
    pub follow: bool,
    /// What stands in its records
    #[command(flatten)]
    pub values: KafkaValues,
    /// The cluster that has it
    #[command(flatten)]
    pub cluster: KafkaCluster,
    /// Who may watch it
    #[command(flatten)]
    pub watch: Watch,
}

/// `trifold up`.
#[derive(Debug, Args)]
pub struct Up {
    /// What to stream
    #[command(flatten)]
    pub stream: Stream,
    /// How to serve
    #[command(flatten)]
    pub serve: Serve,
}

/// `trifold clear`.
#[derive(Debug, Args)]
pub struct Clear {
    /// The view and the version, as in `flight_profile@2`; without `@` the version in force
    pub version: String,
    /// Remove the state's topic of changes as well, of the group of workers that --group names; none of them may run
    #[arg(long)]
    pub topics: bool,
    /// A Redis that is to be rid of the state too
    #[command(flatten)]
    pub redis: Redis,
    /// The cluster that has the state's topic
    #[command(flatten)]
    pub cluster: KafkaCluster,
}
