//! What commands take that change the registry, or tell of what is in force.

use std::path::PathBuf;

use clap::{Args, Subcommand};
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
