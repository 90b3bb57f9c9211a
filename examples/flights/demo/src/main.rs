//! The demo of the flights: the real `trifold` command on a fresh data directory, a gRPC client beside it, and a
//! comparison of what the stream emitted, the server answered and a backfill computes.
//!
//! Reading order: `demo` (the story), `trifold` and `up` (the command and its server), `departures` and `lookup`
//! (the client's side), `digests` (the comparison), `swap` (a release under load), `report`.

mod args;
mod demo;
mod departures;
mod digests;
mod error;
mod lookup;
mod place;
mod report;
mod swap;
mod tell;
mod trifold;
mod up;
mod view;

use std::io::Write;
use std::process::ExitCode;

use args::Asked;
use error::DemoError;
use report::Report;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let outcome = match args::parse(std::env::args_os().skip(1)) {
        Ok(Asked::Help) => {
            tell::line(args::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Asked::Run(args)) => run(&args),
        Err(error) => Err(error),
    };
    if let Err(error) = &outcome {
        // Nobody is left to tell if standard error is gone.
        let _ = writeln!(std::io::stderr(), "error: {error}");
    }
    report::exit_code(&outcome).into()
}

/// Runs the demo until it ends or is told to; either way no child process is left behind, because dropping the
/// story ends them.
fn run(args: &args::Args) -> Result<Report, DemoError> {
    let runtime = tokio::runtime::Runtime::new().map_err(|source| DemoError::start("the runtime", source))?;
    runtime.block_on(async {
        tokio::select! {
            outcome = demo::run(args) => outcome,
            told = told_to_stop() => Err(told),
        }
    })
}

async fn told_to_stop() -> DemoError {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        // Without signals there is nothing to wait for.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    DemoError::Interrupted
}
