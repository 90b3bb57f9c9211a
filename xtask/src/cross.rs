//! `cargo xtask test --cross`.

use std::env::consts::{ARCH, OS};
use std::process::Command;
use std::time::Instant;

use crate::check::minutes;
use crate::error::Error;
use crate::needs::{self, Tool};
use crate::workspace::{Workspace, run as run_command, say};

/// The other processor.
pub(crate) const PROCESSOR: &str = "aarch64";
const TARGET: &str = "aarch64-unknown-linux-gnu";

/// What must hold on every processor. Other crates compute no value, and their tests run programs of this machine.
pub(crate) const PACKAGES: [&str; 3] = ["trifold-model", "trifold-sandbox", "trifold-nan"];

/// The address space of an emulated program: 288 GiB for the sandbox that tests share, and 300 GiB for the small ones
/// of those that run at once. Without a bound they find it all the same, but emulators before version 8 take new
/// addresses for every sandbox and keep a note of each page: measured, 7.3 instead of 4.2 GB.
const ADDRESS_SPACE: &str = "640G";

/// Builds the tests of some crates for another processor, and runs them emulated.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Error> {
    check_machine(OS, ARCH)?;
    let emulator = emulator();
    needs::tools(&[&needs::C_COMPILER, &needs::CROSS_COMPILER, &needs::CROSS_LIBRARY, emulator])?;
    needs::target(workspace, TARGET, "tests of another processor are compiled")?;
    say(format!("\n=== cross: what must hold on every processor does on {PROCESSOR}"));
    let begun = Instant::now();
    let outcome = run_command(&mut cargo_test(workspace, emulator, arguments));
    let word = if outcome.is_ok() { "passed" } else { "FAILED" };
    say(format!("=== cross {word} after {} min", minutes(begun.elapsed())));
    outcome
}

/// Refuses where nothing can be emulated, or where nothing has to be.
fn check_machine(system: &str, processor: &str) -> Result<(), Error> {
    match (system, processor) {
        ("linux", PROCESSOR) => {
            let message =
                format!("this machine's processor is {PROCESSOR} itself: `cargo xtask test` runs the same tests");
            Err(Error::Usage(message))
        }
        ("linux", _) => Ok(()),
        (other, _) => {
            let message =
                format!("missing: Linux, whose programs alone can be emulated one by one; this is {other}");
            Err(Error::Missing(message))
        }
    }
}

/// Either emulator will do. If there is none, the one to install is the smaller.
fn emulator() -> &'static Tool {
    let preferred = [&needs::EMULATOR, &needs::EMULATOR_STATIC].into_iter().find(|tool| tool.is_installed());
    preferred.unwrap_or(&needs::EMULATOR)
}

fn cargo_test(workspace: &Workspace, emulator: &Tool, arguments: &[String]) -> Command {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--target", TARGET]);
    cargo.args(PACKAGES.iter().flat_map(|package| ["-p", package]));
    cargo.args(arguments);
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", needs::CROSS_COMPILER.to_string());
    cargo.env("CC_aarch64_unknown_linux_gnu", needs::CROSS_COMPILER.to_string());
    let runner = format!("{emulator} -R {ADDRESS_SPACE} -L {}", needs::CROSS_ROOT);
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner);
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_emulated_or_need_not_be_is_refused() {
        assert!(check_machine("linux", "x86_64").is_ok());
        assert!(matches!(check_machine("linux", PROCESSOR), Err(Error::Usage(_))));
        assert!(matches!(check_machine("macos", PROCESSOR), Err(Error::Missing(_))));
    }
}
