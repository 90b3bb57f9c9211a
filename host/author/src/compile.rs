//! Runs the compiler.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::build::BuildOptions;
use crate::error::BuildError;
use crate::metadata::wasm_artifact;
use crate::package::Package;
use crate::toolchain::{TARGET, Toolchain};

/// What a build sets, whatever the crate's profile says.
const PROFILE: [&str; 6] = [
    // The names must stay until the check for RandomState has seen them. The rest of what debuggers need goes.
    "profile.release.strip=\"debuginfo\"",
    "profile.release.debug=false",
    // Link-time optimisation would inline the function whose name that check looks for.
    "profile.release.lto=false",
    // One unit: a transform is small, and its row loop is what counts.
    "profile.release.codegen-units=1",
    "profile.release.incremental=false",
    "profile.release.panic=\"abort\"",
];

/// Room for a heap in the memory that an instance begins with, as far as the SDK's allocator goes before it asks for
/// more. A call of a few rows then never grows its memory, which takes a system call each time and another one to
/// take it back. 256 KiB hold a row of the widest views; a call of thousands of rows does not notice.
const HEAP_FLAG: &str = "-Clink-arg=--initial-heap=262144";

/// Compiles the package to a module and gives the module's path. What cargo and the compiler say goes to the
/// console line by line.
pub(crate) fn compile(
    toolchain: &Toolchain,
    package: &Package,
    target_dir: &Path,
    remaps: &[String],
    options: &BuildOptions,
    console: &mut dyn FnMut(&str),
) -> Result<PathBuf, BuildError> {
    let mut command = toolchain.cargo();
    command.args([
        "build",
        "--release",
        "--lib",
        "--target",
        TARGET,
        "--message-format",
        "json-render-diagnostics",
    ]);
    command.arg("--manifest-path").arg(&package.manifest).arg("--target-dir").arg(target_dir);
    command.args(["--color", if options.color { "always" } else { "never" }]);
    command.args(options.resolution_flags());
    if !options.features.is_empty() {
        command.arg("--features").arg(options.features.join(","));
    }
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    compiler_flags(&mut command, remaps, &options.rustflags);
    run(command, package, console)
}

/// Cargo takes flags from one place only, and the environment wins. Where the caller's environment sets none,
/// ours join those of cargo's configuration files.
fn compiler_flags(command: &mut Command, remaps: &[String], users: &[String]) {
    command.env("CARGO_INCREMENTAL", "0").env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let ours = remaps.iter().map(String::as_str).chain([HEAP_FLAG]);
    if users.is_empty() {
        let array = serde_json::Value::from_iter(ours);
        command.arg("--config").arg(format!("target.{TARGET}.rustflags={array}"));
    } else {
        let flags: Vec<&str> = users.iter().map(String::as_str).chain(ours).collect();
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    }
}

fn run(mut command: Command, package: &Package, console: &mut dyn FnMut(&str)) -> Result<PathBuf, BuildError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = PathBuf::from(command.get_program());
    let failed = |source| BuildError::Program { program: program.clone(), source };
    let mut child = command.spawn().map_err(failed)?;
    let mut is_duplicate = false;
    let artifact = follow(&mut child, &package.manifest, &mut |line| {
        is_duplicate |= names_a_duplicate_export(line);
        console(line);
    });
    let status = child.wait().map_err(failed)?;
    match artifact.map_err(failed)? {
        Some(artifact) if status.success() => Ok(artifact),
        _ if is_duplicate => Err(BuildError::ManyViews { package: package.name.clone() }),
        _ => Err(BuildError::Compile { package: package.name.clone() }),
    }
}

/// Reads both outputs to their ends: messages for us from the one, lines for people from the other.
fn follow(child: &mut Child, manifest: &Path, line: &mut dyn FnMut(&str)) -> io::Result<Option<PathBuf>> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let messages = scope.spawn(move || {
            let mut artifact = None;
            each_line(stdout, &mut |line| artifact = artifact.take().or_else(|| wasm_artifact(line, manifest)))?;
            Ok(artifact)
        });
        each_line(stderr, line)?;
        messages.join().unwrap_or_else(|_| Err(io::Error::other("reading cargo's messages panicked")))
    })
}

fn each_line(source: Option<impl Read>, line: &mut dyn FnMut(&str)) -> io::Result<()> {
    let Some(source) = source else { return Ok(()) };
    let mut source = BufReader::new(source);
    let mut bytes = Vec::new();
    while source.read_until(b'\n', &mut bytes)? > 0 {
        line(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']));
        bytes.clear();
    }
    Ok(())
}

/// Two views define or export the same names, which the compiler or the linker refuses.
fn names_a_duplicate_export(line: &str) -> bool {
    let exports = ["describe", "apply"].iter().any(|name| {
        line.contains(&format!("symbol `{name}` is already defined"))
            || line.contains(&format!("duplicate symbol: {name}"))
    });
    exports || line.contains("the name `TrifoldComponent` is defined multiple times")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_user_are_kept() {
        let remaps = ["--remap-path-prefix=/a \"b\"=/workspace".to_owned()];
        let mut command = Command::new("cargo");
        compiler_flags(&mut command, &remaps, &[]);
        let last = command.get_args().last().unwrap().to_str().unwrap();
        let expected = r#"target.wasm32-unknown-unknown.rustflags=["--remap-path-prefix=/a \"b\"=/workspace","#;
        assert_eq!(last, format!("{expected}\"{HEAP_FLAG}\"]"));

        let mut command = Command::new("cargo");
        compiler_flags(&mut command, &remaps, &["-Ctarget-feature=+simd128".to_owned()]);
        let flags = command.get_envs().find(|(name, _)| *name == "CARGO_ENCODED_RUSTFLAGS").unwrap().1.unwrap();
        let expected = "-Ctarget-feature=+simd128\u{1f}--remap-path-prefix=/a \"b\"=/workspace\u{1f}";
        assert_eq!(flags.to_str().unwrap(), format!("{expected}{HEAP_FLAG}"));
    }
}
