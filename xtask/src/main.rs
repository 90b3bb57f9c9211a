//! `cargo xtask WORD`: one word for each thing that the whole workspace does.
//!
//! Reading order: `words` (what can be said), `workspace` (where things are and how programs are run), `needs`
//! (what must be installed), `servers` (what tests start) and `python` (what examples in Python read), then `demo`, `check`, `cross`, `soak` and `bench`.

mod bench;
mod check;
mod cross;
mod demo;
mod error;
mod needs;
mod python;
mod report;
mod servers;
mod soak;
mod words;
mod workspace;

use std::process::ExitCode;

use error::Error;
use words::{Request, Word};
use workspace::{Workspace, say};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            // Nobody is left to tell if standard error is gone.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            error.exit_code()
        }
    }
}

fn run() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match words::parse(&arguments)? {
        Request::Help(text) => {
            say(text);
            Ok(())
        }
        Request::Run(Word::Demo { arguments }) => demo::run(&Workspace::find()?, &arguments),
        Request::Run(Word::Test { only, arguments }) => check::run(&Workspace::find()?, only, &arguments),
        Request::Run(Word::Cross { arguments }) => cross::run(&Workspace::find()?, &arguments),
        Request::Run(Word::Soak(soak)) => soak.run(&Workspace::find()?),
        Request::Run(Word::Bench { arguments }) => bench::run(&Workspace::find()?, &arguments),
    }
}
