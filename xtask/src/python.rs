//! What the examples in Python are run with.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::needs;
use crate::servers::move_whole;
use crate::workspace::{Workspace, run, say, variable};

/// The environment variable with which those who have the packages say which Python reads them. They say so to the tests,
/// too.
const VARIABLE: &str = "TRIFOLD_PYTHON";

/// The folder of the example, which is also the environment's in the target directory, where tests look for it.
const EXAMPLE: &str = "examples/payments/python";

/// What pip is given, in the example and, once all of it is installed, in the environment.
const REQUIREMENTS: &str = "requirements.txt";

/// Makes an environment with the packages, unless it is there.
pub(crate) fn prepare(workspace: &Workspace) -> Result<(), Error> {
    if variable(VARIABLE).is_some() {
        return Ok(());
    }
    let path = workspace.root.join(EXAMPLE).join(REQUIREMENTS);
    let wanted = fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let folder = workspace.target().join(EXAMPLE);
    if fs::read_to_string(folder.join(REQUIREMENTS)).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    needs::tools(&[&needs::PYTHON, &needs::PYTHON_VENV])?;
    say("installing the Python packages of examples/payments/python, about 130 MB");
    // What a run that was interrupted left is not taken for the whole, and two that run at once do not meet.
    let partial = folder.with_extension(std::process::id().to_string());
    let installed = install(workspace, &path, &partial).map_err(|error| {
        Error::Missing(format!(
            "missing: the Python packages of {EXAMPLE}; installing them did not work: {error}\n\
             They need Python 3.11 or later, and pip takes them from where its settings say. With packages from \
             elsewhere, set {VARIABLE} to the Python that reads them"
        ))
    });
    let outcome = installed.and_then(|()| {
        // Other packages were wanted before.
        let _ = fs::remove_dir_all(&folder);
        move_whole(&partial, &folder)
    });
    // It is not there if it was moved, or never made.
    let _ = fs::remove_dir_all(&partial);
    outcome
}

fn install(workspace: &Workspace, requirements: &Path, to: &Path) -> Result<(), Error> {
    run(workspace.command(needs::PYTHON.to_string()).args(["-m", "venv"]).arg(to))?;
    let mut pip = workspace.command(to.join("bin/python3"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]);
    run(pip.arg("--requirement").arg(requirements))?;
    let there = to.join(REQUIREMENTS);
    fs::copy(requirements, &there).map(drop).map_err(|source| Error::Write { path: there, source })
}
