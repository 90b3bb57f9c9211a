//! What must be installed. What can be installed without asking, is; of the rest it is said how.

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::workspace::{Workspace, output, run, say, shown};

/// Something of the system.
pub(crate) struct Tool {
    sign: Sign,
    what: &'static str,
    /// Debian's packages.
    packages: &'static [&'static str],
}

/// What shows that a tool is there.
enum Sign {
    /// A program that tells its version.
    Program(&'static str),
    /// A program that tells its version to those who ask it this.
    ProgramAsked(&'static str, &'static str),
    /// A file.
    File(&'static str),
    /// A header that the C compiler finds.
    Header(&'static str),
    /// A module of Python's own library, which distributions may leave out.
    Module(&'static str),
}

/// Some dependencies compile C, and the linker is run through it.
pub(crate) const C_COMPILER: Tool =
    Tool { sign: Sign::Program("cc"), what: "a C compiler", packages: &["gcc", "libc6-dev"] };

/// What Kafka's C client is built with: its own build runs make, and parts of it are C++.
pub(crate) const KAFKA_CLIENT: [&Tool; 4] = [
    &Tool { sign: Sign::Program("g++"), what: "a C++ compiler", packages: &["g++"] },
    &Tool { sign: Sign::Program("make"), what: "make", packages: &["make"] },
    &Tool { sign: Sign::Header("openssl/ssl.h"), what: "OpenSSL's headers", packages: &["libssl-dev"] },
    &Tool { sign: Sign::Header("zlib.h"), what: "zlib's headers", packages: &["zlib1g-dev"] },
];

/// What Kafka, the schema registry and S3 run on.
pub(crate) const JAVA: Tool =
    Tool { sign: Sign::Program("java"), what: "Java 17 or later", packages: &["default-jre-headless"] };

/// What fetches Kafka, the schema registry and S3.
pub(crate) const MAVEN: Tool = Tool { sign: Sign::Program("mvn"), what: "Maven", packages: &["maven"] };

/// Installing it starts it where there is a system to start it, at a port that tests do not take.
pub(crate) const REDIS: Tool =
    Tool { sign: Sign::Program("redis-server"), what: "Redis 7 or later", packages: &["redis-server"] };

/// What makes the certificates of servers that tests reach through TLS. Its older versions do not know `--version`.
pub(crate) const OPENSSL: Tool =
    Tool { sign: Sign::ProgramAsked("openssl", "version"), what: "OpenSSL's command", packages: &["openssl"] };

/// An implementation of the canonical bytes that shares no code with ours is written in Python.
pub(crate) const PYTHON: Tool = Tool { sign: Sign::Program("python3"), what: "Python 3", packages: &["python3"] };

/// What makes environments for Python's packages, with pip in them.
pub(crate) const PYTHON_VENV: Tool =
    Tool { sign: Sign::Module("ensurepip"), what: "Python's module venv", packages: &["python3-venv"] };

/// What counts instructions.
pub(crate) const VALGRIND: Tool =
    Tool { sign: Sign::Program("valgrind"), what: "valgrind, which counts instructions", packages: &["valgrind"] };

/// What a C compiler is for this machine's programs, for those of aarch64.
pub(crate) const CROSS_COMPILER: Tool = Tool {
    sign: Sign::Program("aarch64-linux-gnu-gcc"),
    what: "a C compiler for aarch64",
    packages: &["gcc-aarch64-linux-gnu"],
};

/// Where Debian puts what programs of aarch64 load.
pub(crate) const CROSS_ROOT: &str = "/usr/aarch64-linux-gnu";

/// The compiler comes without it.
pub(crate) const CROSS_LIBRARY: Tool = Tool {
    sign: Sign::File("/usr/aarch64-linux-gnu/lib/crt1.o"),
    what: "a C library for aarch64",
    packages: &["libc6-dev-arm64-cross"],
};

/// It runs programs of aarch64 here.
pub(crate) const EMULATOR: Tool =
    Tool { sign: Sign::Program("qemu-aarch64"), what: "an emulator of aarch64", packages: &["qemu-user"] };

/// The same, from another package: where it is, nothing needs to be installed.
pub(crate) const EMULATOR_STATIC: Tool =
    Tool { sign: Sign::Program("qemu-aarch64-static"), packages: &["qemu-user-static"], ..EMULATOR };

impl Tool {
    pub(crate) fn is_installed(&self) -> bool {
        match self.sign {
            Sign::Program(program) => output(Command::new(program).arg("--version")).is_some(),
            Sign::ProgramAsked(program, question) => output(Command::new(program).arg(question)).is_some(),
            Sign::File(path) => Path::new(path).is_file(),
            Sign::Module(name) => {
                output(Command::new(PYTHON.to_string()).args(["-c", &format!("import {name}")])).is_some()
            }
            Sign::Header(name) => {
                let mut compiler = Command::new(C_COMPILER.to_string());
                output(compiler.args(["-E", "-x", "c", "-include", name, "/dev/null"])).is_some()
            }
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sign {
            Sign::Program(name)
            | Sign::ProgramAsked(name, _)
            | Sign::File(name)
            | Sign::Header(name)
            | Sign::Module(name) => f.write_str(name),
        }
    }
}

/// Installs or names the tools that are missing.
pub(crate) fn tools(tools: &[&Tool]) -> Result<(), Error> {
    let missing: Vec<_> = tools.iter().filter(|tool| !tool.is_installed()).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().flat_map(|tool| tool.packages).copied().collect();
    let whats: Vec<_> = missing.iter().map(|tool| format!("{} (`{tool}`)", tool.what)).collect();
    let whats = whats.join(" and ");
    let debian = output(Command::new("apt-get").arg("--version")).is_some();
    let root = output(Command::new("id").arg("-u")).as_deref() == Some("0");
    if debian && root {
        let names = packages.join(" ");
        let failed = |error| Error::Missing(format!("missing: {whats}; installing {names} did not work: {error}"));
        return install(&packages).map_err(failed);
    }
    let how = match (debian, cfg!(target_os = "macos")) {
        (true, _) => format!("run `sudo apt-get install {}`", packages.join(" ")),
        (_, true) => {
            "run `xcode-select --install`, and install what that does not bring with a package manager".to_owned()
        }
        _ => "install it with your system's package manager".to_owned(),
    };
    Err(Error::Missing(format!("missing: {whats}; {how}, then try again")))
}

/// Installs packages of Debian.
fn install(packages: &[&str]) -> Result<(), Error> {
    say(format!("installing {}", packages.join(" ")));
    let apt =
        |arguments: &[&str]| run(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"));
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], packages].concat())
}

/// Adds the WebAssembly target if it is missing. Rustup does that by itself only where it may install by itself.
pub(crate) fn wasm_target(workspace: &Workspace) -> Result<(), Error> {
    target(workspace, "wasm32-unknown-unknown", "components are compiled")
}

/// Adds a target if it is missing.
pub(crate) fn target(workspace: &Workspace, name: &str, what: &str) -> Result<(), Error> {
    let sysroot = output(workspace.command("rustc").args(["--print", "sysroot"]));
    let sysroot =
        sysroot.ok_or_else(|| Error::Missing("rustc is not installed: see https://rustup.rs".to_owned()))?;
    let libraries = Path::new(&sysroot).join("lib/rustlib").join(name);
    if libraries.is_dir() {
        return Ok(());
    }
    say(format!("adding the target {name}"));
    let mut rustup = workspace.command("rustup");
    rustup.args(["target", "add", name]);
    let reason = match run(&mut rustup) {
        Ok(()) if libraries.is_dir() => return Ok(()),
        Ok(()) => format!("`{}` succeeded and {} is still not there", shown(&rustup), libraries.display()),
        Err(error) => error.to_string(),
    };
    Err(Error::Missing(format!(
        "{what} for {name}, which is not installed: {reason}\n\
         With rustup, run `rustup target add {name}` where its servers can be reached. With a Rust that did not come \
         from rustup, install its standard library for {name} into {}, or rustup from https://rustup.rs",
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
