//! What the tests' servers run on.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::needs;
use crate::workspace::{Workspace, run, say, variable};

/// A server that consists of jars.
struct Jars {
    /// The folder of its manifest, and the beginning of the name of the folder that the jars are put into.
    name: &'static str,
    /// What is downloaded, roughly.
    megabytes: u32,
    /// The environment variable with which those who have the jars say where. They say so to the tests, too.
    variable: &'static str,
    /// What Maven is to do with them.
    goal: &'static str,
}

const SERVERS: [Jars; 3] = [
    Jars { name: "kafka", megabytes: 45, variable: "TRIFOLD_KAFKA_JARS", goal: "dependency:copy-dependencies" },
    Jars {
        name: "schema-registry",
        megabytes: 140,
        variable: "TRIFOLD_SCHEMA_REGISTRY_JARS",
        goal: "dependency:unpack-dependencies",
    },
    Jars {
        name: "s3proxy",
        megabytes: 55,
        variable: "TRIFOLD_S3PROXY_JARS",
        goal: "dependency:copy-dependencies",
    },
];

/// Makes sure that Kafka, Redis, the schema registry and S3 can be started.
pub(crate) fn prepare(workspace: &Workspace) -> Result<(), Error> {
    needs::tools(&[&needs::JAVA, &needs::REDIS, &needs::OPENSSL])?;
    let mut wanted = SERVERS.iter().filter(|server| variable(server.variable).is_none());
    wanted.try_for_each(|server| server.prepare(workspace))
}

impl Jars {
    /// Fetches the jars, unless they are in the target directory, where tests look for them.
    fn prepare(&self, workspace: &Workspace) -> Result<(), Error> {
        let pom = workspace.root.join("tests/servers").join(self.name).join("pom.xml");
        let text = fs::read_to_string(&pom).map_err(|source| Error::Read { path: pom.clone(), source })?;
        let name = self.folder_name(&text);
        let servers = workspace.target().join("servers");
        let folder = servers.join(&name);
        if folder.is_dir() {
            return Ok(());
        }
        needs::tools(&[&needs::MAVEN])?;
        say(format!("fetching the jars of {name}, about {} MB", self.megabytes));
        // What a run that was interrupted left is not taken for the whole, and two that run at once do not meet.
        let partial = servers.join(format!("{name}.{}", std::process::id()));
        let fetched = self.fetch(workspace, &pom, &partial).map_err(|error| {
            Error::Missing(format!(
                "missing: the jars of {name}, which tests start; fetching them did not work: {error}\n\
                 Maven takes them from where its settings say. With jars from elsewhere, set {} to their folder",
                self.variable
            ))
        });
        let outcome = fetched.and_then(|()| move_whole(&partial, &folder));
        // It is not there if it was moved, or never made.
        let _ = fs::remove_dir_all(&partial);
        outcome
    }

    fn fetch(&self, workspace: &Workspace, pom: &Path, to: &Path) -> Result<(), Error> {
        let mut maven = workspace.command("mvn");
        maven.args(["-q", "-B", "-Dstyle.color=never", "-f"]).arg(pom).args([self.goal, "-DincludeScope=runtime"]);
        // What was unpacked is noted below the manifest by default, and then not unpacked again.
        maven.arg(option("-DmarkersDirectory=", &to.join(".unpacked")));
        run(maven.arg(option("-DoutputDirectory=", to)))
    }

    /// The folder's name has the version, so that another one is fetched.
    fn folder_name(&self, pom: &str) -> String {
        let begin = format!("<{}.version>", self.name);
        let version = pom.split(begin.as_str()).nth(1).and_then(|rest| rest.split('<').next());
        format!("{}-{}", self.name, version.unwrap_or_default())
    }
}

fn option(name: &str, value: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(value);
    option
}

/// Gives a folder its name, unless another run did.
pub(crate) fn move_whole(partial: &Path, folder: &Path) -> Result<(), Error> {
    let moved = fs::rename(partial, folder);
    // Another run may have been quicker.
    if folder.is_dir() {
        return Ok(());
    }
    moved.map_err(|source| Error::Write { path: folder.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_have_the_versions_that_the_tests_look_for() {
        let [kafka, registry, s3proxy] = &SERVERS;
        assert_eq!(kafka.folder_name(include_str!("../../tests/servers/kafka/pom.xml")), "kafka-4.1.1");
        let pom = include_str!("../../tests/servers/schema-registry/pom.xml");
        assert_eq!(registry.folder_name(pom), "schema-registry-2.6.13.Final");
        assert_eq!(s3proxy.folder_name(include_str!("../../tests/servers/s3proxy/pom.xml")), "s3proxy-4.1.0");
    }
}
