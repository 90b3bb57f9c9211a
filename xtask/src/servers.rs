//! What the tests' servers run on.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::needs;
use crate::workspace::{Workspace, run, say, variable};

/// Makes sure that Kafka and Redis can be started.
pub(crate) fn prepare(workspace: &Workspace) -> Result<(), Error> {
    needs::tools(&[&needs::JAVA, &needs::REDIS])?;
    // Who has the jars already says so to the tests, too.
    if variable("TRIFOLD_KAFKA_JARS").is_some() { Ok(()) } else { jars(workspace) }
}

/// Fetches Kafka's jars, unless they are in the target directory, where tests look for them.
fn jars(workspace: &Workspace) -> Result<(), Error> {
    let pom = workspace.root.join("tests/servers/kafka/pom.xml");
    let text = fs::read_to_string(&pom).map_err(|source| Error::Read { path: pom.clone(), source })?;
    let name = folder_name(&text);
    let servers = workspace.target().join("servers");
    let folder = servers.join(&name);
    if folder.is_dir() {
        return Ok(());
    }
    needs::tools(&[&needs::MAVEN])?;
    say(format!("fetching the jars of {name}, about 45 MB"));
    // What a run that was interrupted left is not taken for the whole, and two that run at once do not meet.
    let partial = servers.join(format!("{name}.{}", std::process::id()));
    let fetched = fetch(workspace, &pom, &partial).map_err(|error| {
        Error::Missing(format!(
            "missing: the jars of {name}, which tests start; fetching them did not work: {error}\n\
             Maven takes them from where its settings say. With jars from elsewhere, set TRIFOLD_KAFKA_JARS to \
             their folder"
        ))
    });
    let outcome = fetched.and_then(|()| move_whole(&partial, &folder));
    // It is not there if it was moved, or never made.
    let _ = fs::remove_dir_all(&partial);
    outcome
}

fn fetch(workspace: &Workspace, pom: &Path, to: &Path) -> Result<(), Error> {
    let mut maven = workspace.command("mvn");
    maven
        .args(["-q", "-B", "-Dstyle.color=never", "-f"])
        .arg(pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    let mut output = std::ffi::OsString::from("-DoutputDirectory=");
    output.push(to);
    run(maven.arg(output))
}

fn move_whole(partial: &Path, folder: &Path) -> Result<(), Error> {
    let moved = fs::rename(partial, folder);
    // Another run may have been quicker.
    if folder.is_dir() {
        return Ok(());
    }
    moved.map_err(|source| Error::Write { path: folder.to_owned(), source })
}

/// The folder's name has the version, so that another one is fetched.
fn folder_name(pom: &str) -> String {
    let version = pom.split("<kafka.version>").nth(1).and_then(|rest| rest.split('<').next());
    format!("kafka-{}", version.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_has_the_version_that_the_tests_look_for() {
        assert_eq!(folder_name(include_str!("../../tests/servers/kafka/pom.xml")), "kafka-4.1.1");
    }
}
