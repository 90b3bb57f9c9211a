//! What must be installed. What can be installed without asking, is; of the rest it is said how.

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::workspace::{Workspace, output, run, say, shown};

const TARGET: &str = "wasm32-unknown-unknown";

/// A program of the system.
pub(crate) struct Tool {
    program: &'static str,
    what: &'static str,
    /// Debian's packages.
    packages: &'static [&'static str],
}

/// Some dependencies compile C, and the linker is run through it.
pub(crate) const C_COMPILER: Tool = Tool { program: "cc", what: "a C compiler", packages: &["gcc", "libc6-dev"] };

/// An implementation of the canonical bytes that shares no code with ours is written in Python.
pub(crate) const PYTHON: Tool = Tool { program: "python3", what: "Python 3", packages: &["python3"] };

/// Installs or names the tools that are missing.
pub(crate) fn tools(tools: &[&Tool]) -> Result<(), Error> {
    let is_missing = |tool: &&&Tool| output(Command::new(tool.program).arg("--version")).is_none();
    let missing: Vec<_> = tools.iter().filter(is_missing).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().flat_map(|tool| tool.packages).copied().collect();
    let debian = output(Command::new("apt-get").arg("--version")).is_some();
    let root = output(Command::new("id").arg("-u")).as_deref() == Some("0");
    if debian && root {
        say(format!("installing {}", packages.join(" ")));
        let apt = |arguments: &[&str]| {
            run(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
        };
        apt(&["update"])?;
        return apt(&[&["install", "-y", "--no-install-recommends"], packages.as_slice()].concat());
    }
    let whats: Vec<_> = missing.iter().map(|tool| format!("{} (`{}`)", tool.what, tool.program)).collect();
    let how = match (debian, cfg!(target_os = "macos")) {
        (true, _) => format!("run `sudo apt-get install {}`", packages.join(" ")),
        (_, true) => "run `xcode-select --install`".to_owned(),
        _ => "install it with your system's package manager".to_owned(),
    };
    Err(Error::Missing(format!("missing: {}; {how}, then try again", whats.join(" and "))))
}

/// Adds the WebAssembly target if it is missing. Rustup does that by itself only where it may install by itself.
pub(crate) fn wasm_target(workspace: &Workspace) -> Result<(), Error> {
    let sysroot = output(workspace.command("rustc").args(["--print", "sysroot"]));
    let sysroot =
        sysroot.ok_or_else(|| Error::Missing("rustc is not installed: see https://rustup.rs".to_owned()))?;
    let libraries = Path::new(&sysroot).join("lib/rustlib").join(TARGET);
    if libraries.is_dir() {
        return Ok(());
    }
    say(format!("adding the target {TARGET}"));
    let mut rustup = workspace.command("rustup");
    rustup.args(["target", "add", TARGET]);
    let reason = match run(&mut rustup) {
        Ok(()) if libraries.is_dir() => return Ok(()),
        Ok(()) => format!("`{}` succeeded and {} is still not there", shown(&rustup), libraries.display()),
        Err(error) => error.to_string(),
    };
    Err(Error::Missing(format!(
        "components are compiled for {TARGET}, which is not installed: {reason}\n\
         With rustup, run `rustup target add {TARGET}` where its servers can be reached. With a Rust that did not come \
         from rustup, install its standard library for {TARGET} into {}, or rustup from https://rustup.rs",
        libraries.display()
    )))
}

/// Adds clippy and rustfmt if they are missing.
pub(crate) fn linters(workspace: &Workspace) -> Result<(), Error> {
    let subcommands = [("clippy", "clippy"), ("fmt", "rustfmt")];
    let is_missing = |subcommand: &str| output(workspace.cargo().args([subcommand, "--version"])).is_none();
    let missing: Vec<_> = subcommands.iter().filter(|(name, _)| is_missing(name)).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(format!("adding {}", missing.join(" and ")));
    run(workspace.command("rustup").args(["component", "add"]).args(&missing)).map_err(|error| {
        let names = missing.join(" ");
        Error::Missing(format!(
            "{names} is not installed: {error}\nWith rustup, run `rustup component add {names}`"
        ))
    })
}
