//! The `trifold` command.

use std::io::Write;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser};
use trifold_cli::args::{COMPILE_ONE, Cli};
use trifold_cli::exit::Exit;
use trifold_cli::world::THREAD_STACK_BYTES;

/// Measured: a server answers a seventh more lookups a second than with the allocator of the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == COMPILE_ONE) {
        return trifold_sandbox::compile_one();
    }
    // Guests may run on this thread, and the system may give the first one less stack than they need.
    let main = std::thread::Builder::new().name("main".to_owned()).stack_size(THREAD_STACK_BYTES).spawn(command);
    main.ok().and_then(|main| main.join().ok()).unwrap_or_else(|| Exit::Internal.into())
}

fn command() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for and go to standard output; anything else is a wrong command line.
            let asked = !error.use_stderr();
            let printed = error.print();
            if let Some(variable) = refused_variable(&error) {
                let _ = writeln!(std::io::stderr(), "\nThe value comes from the environment variable {variable}.");
            }
            return if asked && printed.is_ok() { ExitCode::SUCCESS } else { Exit::Usage.into() };
        }
    };
    match trifold_cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to tell if standard error is gone.
            let _ = writeln!(std::io::stderr(), "error: {}", failure.text());
            failure.exit.into()
        }
    }
}

/// The environment variable that a refused value comes from: the parser names the flag only.
#[expect(clippy::disallowed_methods, reason = "the command is where the environment enters")]
fn refused_variable(error: &clap::Error) -> Option<String> {
    let (ContextValue::String(argument), ContextValue::String(value)) =
        (error.get(ContextKind::InvalidArg)?, error.get(ContextKind::InvalidValue)?)
    else {
        return None;
    };
    let flag = argument.split(' ').next()?;
    let given = |word: String| word.split('=').next() == Some(flag);
    if std::env::args().any(given) {
        return None;
    }
    let cli = Cli::command();
    let mut arguments = std::iter::once(&cli).chain(cli.get_subcommands()).flat_map(clap::Command::get_arguments);
    let is_named = |argument: &&clap::Arg| argument.get_long() == flag.strip_prefix("--");
    let variable = arguments.find(is_named)?.get_env()?;
    (std::env::var_os(variable)? == **value).then(|| variable.to_string_lossy().into_owned())
}
