//! The command `payments-generator`.

mod args;

use std::io::Write;
use std::process::ExitCode;

use args::Args;
use clap::Parser;
use payments_generator::{Account, GeneratorError, write_log, write_spine};
use trifold_eventlog::RowFile;

/// As the `trifold` command ends: BSD's `sysexits.h`.
const USAGE: u8 = 64;
const IO: u8 = 74;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are asked for and go to standard output; anything else is a wrong command line.
            let asked = !error.use_stderr();
            let printed = error.print();
            return if asked && printed.is_ok() { ExitCode::SUCCESS } else { USAGE.into() };
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell if standard error is gone.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            if error.is_request() { USAGE.into() } else { IO.into() }
        }
    }
}

fn run(args: &Args) -> Result<(), GeneratorError> {
    let (config, format) = (args.config(), args.format.into());
    let (account, files) = write_log(&config, &args.out, format, args.files)?;
    let mut told = told(account, &files);
    if let Some(path) = &args.spine {
        let file = write_spine(&config, path, format, args.spine_rows)?;
        told.push_str(&format!("{} rows of a spine in {}\n", file.rows, file.path.display()));
    }
    // Whoever reads the output may stop reading; the files are there.
    let _ = std::io::stdout().write_all(told.as_bytes());
    Ok(())
}

fn told(account: Account, files: &[RowFile]) -> String {
    let Account { events, out_of_order, late, early, duplicate, conflicting } = account;
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let places: Vec<_> = files.iter().map(|file| file.path.display().to_string()).collect();
    format!(
        "{events} payments, of them {out_of_order} after younger ones, {late} late, {early} early, {duplicate} \
         duplicate, {conflicting} conflicting\n{bytes} bytes in {}\n",
        places.join(", ")
    )
}
