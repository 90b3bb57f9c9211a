//! What commands take that change the registry, or tell of what is in force.

use std::path::PathBuf;

use clap::Args;
use trifold_model::ViewName;

use super::{Processes, Samples, Signature, Source};

/// `trifold check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The component
    pub component: PathBuf,
    /// The sample rows
    #[command(flatten)]
    pub samples: Samples,
    /// The columns of the sample events
    #[command(flatten)]
    pub source: Source,
}

/// `trifold push`.
#[derive(Debug, Args)]
pub struct Push {
    /// The component
    pub component: PathBuf,
    /// Put the version into force as well
    #[arg(long)]
    pub release: bool,
    /// Who pushes, and what is new
    #[command(flatten)]
    pub signature: Signature,
    /// Who is told of the release
    #[command(flatten)]
    pub processes: Processes,
    /// The sample rows
    #[command(flatten)]
    pub samples: Samples,
    /// The columns of the sample events
    #[command(flatten)]
    pub source: Source,
}

/// `trifold release`.
#[derive(Debug, Args)]
pub struct Release {
    /// The view and the version, as in `flight_profile@2`; without `@` the latest version
    pub version: String,
    /// Build the version's own state beside the one in force, and wait until it has caught up: nobody is served by it until
    /// it is released. Ctrl-C and `trifold rollback` give it up. `--process` names the workers that build it, and `--wait` says
    /// how long to wait
    #[arg(long)]
    pub bootstrap: bool,
    /// Who releases, and why
    #[command(flatten)]
    pub signature: Signature,
    /// Who is told
    #[command(flatten)]
    pub processes: Processes,
}

/// `trifold rollback`.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The view
    pub view: ViewName,
    /// Who takes it back, and why
    #[command(flatten)]
    pub signature: Signature,
    /// Who is told
    #[command(flatten)]
    pub processes: Processes,
}

/// `trifold status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The addresses of the processes
    #[arg(value_name = "URL", env = "TRIFOLD_PROCESSES", value_delimiter = ',')]
    pub urls: Vec<String>,
}

/// `trifold diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// The version to compare with: one of the registry, as in `card_activity@1` (without `@` the version in force), or
    /// a component's file
    pub left: String,
    /// The version that is compared, named alike
    pub right: String,
    /// The sample rows
    #[command(flatten)]
    pub samples: Samples,
    /// The columns of the sample events
    #[command(flatten)]
    pub source: Source,
    /// The most differing rows to print
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub show: usize,
    /// Exit with 1 if the versions declare or compute anything differently
    #[arg(long)]
    pub exit_code: bool,
}

/// `trifold versions` and `trifold releases`.
#[derive(Debug, Args)]
pub struct OneView {
    /// The view
    pub view: ViewName,
}
