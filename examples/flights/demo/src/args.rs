//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::DemoError;

pub(crate) const HELP: &str = "\
flights-demo [--trifold PROGRAM] [--examples DIR] [--out DIR]

Runs the flights through stream, server and backfill, compares the three, and swaps a version under load.

  --trifold PROGRAM  the trifold command [default: the one beside this program]
  --examples DIR     the folder examples/flights of a checkout [default: that of the build]
  --out DIR          where to work; made anew by each run [default: target/demo]

Exit codes: 0 everything agreed, 1 something differs or failed, 64 wrong command line.";

/// What was asked for.
pub(crate) enum Asked {
    /// The help text.
    Help,
    /// The demo.
    Run(Args),
}

/// Where things are.
#[derive(Debug)]
pub(crate) struct Args {
    /// The trifold command.
    pub(crate) trifold: PathBuf,
    /// The folder with the example crates and their data.
    pub(crate) examples: PathBuf,
    /// The directory to work in.
    pub(crate) out: PathBuf,
}

pub(crate) fn parse(mut words: impl Iterator<Item = OsString>) -> Result<Asked, DemoError> {
    let mut args = Args {
        trifold: beside()?,
        examples: Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        out: PathBuf::from("target/demo"),
    };
    while let Some(word) = words.next() {
        let place = match word.to_str() {
            Some("--help" | "-h") => return Ok(Asked::Help),
            Some("--trifold") => &mut args.trifold,
            Some("--examples") => &mut args.examples,
            Some("--out") => &mut args.out,
            _ => return Err(DemoError::Usage(format!("`{}` is no flag of the demo\n\n{HELP}", word.display()))),
        };
        *place = words
            .next()
            .map(PathBuf::from)
            .ok_or_else(|| DemoError::Usage(format!("`{}` takes a path\n\n{HELP}", word.display())))?;
    }
    // Commands run in another directory than this program.
    for path in [&mut args.trifold, &mut args.examples, &mut args.out] {
        let absolute = std::path::absolute(&*path);
        *path = absolute.map_err(DemoError::file("find", &*path))?;
    }
    Ok(Asked::Run(args))
}

fn beside() -> Result<PathBuf, DemoError> {
    let own = std::env::current_exe().map_err(|source| DemoError::start("this program", source))?;
    Ok(own.with_file_name(format!("trifold{}", std::env::consts::EXE_SUFFIX)))
}
