//! What commands take that change the registry, or tell of what is in force.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use trifold_model::{Share, ViewName};
use trifold_registry::Trial;

use super::{CanarySteps, KafkaCluster, Processes, Redis, Samples, Signature, Source};

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
    /// Push through a process that is operated here, by the address of its `--admin`, where the registry is out of reach:
    /// the process runs the publish gate over generated rows
    #[arg(long, value_name = "URL", conflicts_with = "sample")]
    pub through: Option<String>,
    /// Put the version into force as well
    #[arg(long)]
    pub release: bool,
    /// Sign the component with the private key in this file [default: `key` of the section `signatures`, if there is one]
    #[arg(long, env = "TRIFOLD_SIGN_KEY", value_name = "FILE")]
    pub sign: Option<PathBuf>,
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

/// `trifold sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// The view and the version, as in `flight_profile@2`
    pub version: String,
    /// The file of the private key [default: `key` of the section `signatures`]
    #[arg(long, env = "TRIFOLD_SIGN_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// `trifold key`.
#[derive(Debug, Args)]
pub struct Key {
    /// What to do.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// What is done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key pair: the private key goes into a file that its owner alone can read, the public key is printed
    New {
        /// The file to make
        file: PathBuf,
    },
    /// Print the public key of a private key
    Show {
        /// The file of the private key
        file: PathBuf,
    },
}

/// `trifold release`.
#[derive(Debug, Args)]
pub struct Release {
    /// The view and the version, as in `flight_profile@2`; without `@` the latest version
    pub version: String,
    /// What else than serving everybody it is for
    #[command(flatten)]
    pub trial: TryOut,
    /// Build the version's own state beside the one in force, and wait until it has caught up: nobody is served by it until
    /// it is released. Ctrl-C and `trifold rollback` give it up. `--process` names the workers that build it, and `--wait` says
    /// how long to wait
    #[arg(long, conflicts_with_all = ["canary", "steps", "shadow"])]
    pub bootstrap: bool,
    /// Who releases, and why
    #[command(flatten)]
    pub signature: Signature,
    /// Who is told
    #[command(flatten)]
    pub processes: Processes,
}

/// What a version is tried out for beside the one in force.
#[derive(Debug, Args)]
pub struct TryOut {
    /// Serve this share of the entities with it, as in 10%, and the others as before
    #[arg(long, value_name = "SHARE", conflicts_with_all = ["steps", "shadow"])]
    pub canary: Option<Share>,
    /// Serve a growing share of the entities with it: `trifold controller` takes the next step while all is well
    /// [as in: 10%:10m,50%:1h,100%]
    #[arg(long, value_name = "SHARE:TIME,...", conflicts_with = "shadow")]
    pub steps: Option<CanarySteps>,
    /// Compute it beside the version in force and compare their answers, and serve nobody with it
    #[arg(long)]
    pub shadow: bool,
}

impl TryOut {
    /// The trial, if it is to be one.
    pub fn trial(&self) -> Result<Option<Trial>, String> {
        let share = self.canary.map(CanarySteps::of_share).transpose()?;
        let steps = share.as_ref().or(self.steps.as_ref()).map(CanarySteps::trial);
        Ok(steps.or(self.shadow.then_some(Trial::Shadow)))
    }
}

/// `trifold controller`.
#[derive(Debug, Args)]
pub struct Controller {
    /// The addresses of the processes that serve
    #[arg(long = "process", value_name = "URL", env = "TRIFOLD_PROCESSES", value_delimiter = ',')]
    pub urls: Vec<String>,
    /// The views to control; without any, all of them
    #[arg(long = "view", value_name = "VIEW", value_delimiter = ',')]
    pub views: Vec<ViewName>,
    /// Who is recorded as having taken steps
    #[command(flatten)]
    pub signature: Signature,
    /// End once nothing is tried out any more
    #[arg(long)]
    pub until_done: bool,
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

/// `trifold retire`.
#[derive(Debug, Args)]
pub struct Retire {
    /// The view and the version, as in `flight_profile@1`
    pub version: String,
    /// Retire it even if `trifold rollback` would put it into force again, which then is no longer possible
    #[arg(long)]
    pub give_up_rollback: bool,
    /// Remove its state's topic of changes as well, of the group of workers that --group names
    #[arg(long)]
    pub topics: bool,
    /// Who retires it, and why
    #[command(flatten)]
    pub signature: Signature,
    /// The Redis that has its state
    #[command(flatten)]
    pub redis: Redis,
    /// The cluster that has its state's topic
    #[command(flatten)]
    pub cluster: KafkaCluster,
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
