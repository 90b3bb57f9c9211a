//! Where Kafka's jars are.

use std::path::{Path, PathBuf};

use crate::environment::variable;
use crate::error::ServerError;

/// What the jars are copied by.
const POM: &str = include_str!("../kafka/pom.xml");

/// The folder of the jars: the one that is set, or the one that `cargo xtask test` made in the target directory
/// that this program lies in.
pub(crate) fn folder() -> Result<PathBuf, ServerError> {
    if let Some(folder) = variable("TRIFOLD_KAFKA_JARS") {
        // The broker runs in another directory.
        return check(std::path::absolute(&folder).unwrap_or_else(|_| folder.into()));
    }
    let program = std::env::current_exe().map_err(ServerError::io("find out where this program is"))?;
    check(below_an_ancestor(&program))
}

fn below_an_ancestor(program: &Path) -> PathBuf {
    let place = Path::new("servers").join(format!("kafka-{}", version()));
    let mut folders = program.ancestors().map(|ancestor| ancestor.join(&place));
    // The target directory's own is what an error should name: tests lie in `debug/deps` below it.
    let usual = program.ancestors().nth(3).unwrap_or(program).join(&place);
    folders.find(|folder| folder.is_dir()).unwrap_or(usual)
}

fn check(place: PathBuf) -> Result<PathBuf, ServerError> {
    if place.is_dir() { Ok(place) } else { Err(ServerError::NoJars { place }) }
}

fn version() -> &'static str {
    let rest = POM.split("<kafka.version>").nth(1).unwrap_or_default();
    rest.split('<').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jars_are_looked_for_above_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("debug/deps/servers-1234");
        let jars = dir.path().join("servers").join("kafka-4.1.1");
        let error = check(below_an_ancestor(&program)).unwrap_err();
        let expected = format!(
            "there are no jars of Kafka in {}: run `cargo xtask test` once, which fetches them",
            jars.display()
        );
        assert_eq!(error.to_string(), expected);
        std::fs::create_dir_all(&jars).unwrap();
        assert_eq!(check(below_an_ancestor(&program)).unwrap(), jars);
    }
}
