//! Where the jars of servers are.

use std::path::{Path, PathBuf};

use crate::environment::variable;
use crate::error::ServerError;

/// A server that consists of jars.
pub(crate) struct Jars {
    pub(crate) server: &'static str,
    /// The beginning of the folder's name, and the name of the version in the manifest.
    name: &'static str,
    /// The environment variable that names another folder.
    variable: &'static str,
    /// The manifest that the jars are fetched by.
    pom: &'static str,
}

pub(crate) const KAFKA: Jars =
    Jars { server: "Kafka", name: "kafka", variable: "TRIFOLD_KAFKA_JARS", pom: include_str!("../kafka/pom.xml") };

pub(crate) const SCHEMA_REGISTRY: Jars = Jars {
    server: "the schema registry",
    name: "schema-registry",
    variable: "TRIFOLD_SCHEMA_REGISTRY_JARS",
    pom: include_str!("../schema-registry/pom.xml"),
};

pub(crate) const S3PROXY: Jars = Jars {
    server: "S3",
    name: "s3proxy",
    variable: "TRIFOLD_S3PROXY_JARS",
    pom: include_str!("../s3proxy/pom.xml"),
};

impl Jars {
    /// The folder of the jars: the one that is set, or the one that `cargo xtask test` made in the target directory
    /// that this program lies in.
    pub(crate) fn folder(&self) -> Result<PathBuf, ServerError> {
        if let Some(folder) = variable(self.variable) {
            // The server runs in another directory.
            return self.check(std::path::absolute(&folder).unwrap_or_else(|_| folder.into()));
        }
        let program = std::env::current_exe().map_err(ServerError::io("find out where this program is"))?;
        self.check(self.below_an_ancestor(&program))
    }

    fn below_an_ancestor(&self, program: &Path) -> PathBuf {
        let place = Path::new("servers").join(format!("{}-{}", self.name, self.version()));
        let mut folders = program.ancestors().map(|ancestor| ancestor.join(&place));
        // The target directory's own is what an error should name: tests lie in `debug/deps` below it.
        let usual = program.ancestors().nth(3).unwrap_or(program).join(&place);
        folders.find(|folder| folder.is_dir()).unwrap_or(usual)
    }

    fn check(&self, place: PathBuf) -> Result<PathBuf, ServerError> {
        if place.is_dir() { Ok(place) } else { Err(ServerError::NoJars { server: self.server, place }) }
    }

    pub(crate) fn version(&self) -> &'static str {
        let begin = format!("<{}.version>", self.name);
        let rest = self.pom.split(begin.as_str()).nth(1).unwrap_or_default();
        rest.split('<').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(jars: &Jars, folder: &str, server: &str) {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("debug/deps/servers-1234");
        let place = dir.path().join("servers").join(folder);
        let error = jars.check(jars.below_an_ancestor(&program)).unwrap_err();
        let expected = format!(
            "there are no jars of {server} in {}: run `cargo xtask test` once, which fetches them",
            place.display()
        );
        assert_eq!(error.to_string(), expected);
        std::fs::create_dir_all(&place).unwrap();
        assert_eq!(jars.check(jars.below_an_ancestor(&program)).unwrap(), place);
    }

    #[test]
    fn the_jars_are_looked_for_above_the_program() {
        check(&KAFKA, "kafka-4.1.1", "Kafka");
        check(&SCHEMA_REGISTRY, "schema-registry-2.6.13.Final", "the schema registry");
        check(&S3PROXY, "s3proxy-4.1.0", "S3");
    }
}
