//! Makes a new transform crate.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use trifold_model::ViewName;

use crate::error::ScaffoldError;

/// What to make and where.
#[derive(Debug, Clone)]
pub struct ScaffoldOptions {
    /// The crate's name; with `-` turned into `_` it is also the view's.
    pub name: String,
    /// The directory in which the crate's directory is made.
    pub parent: PathBuf,
    /// Where the crate finds the SDK.
    pub sdk: SdkSource,
}

/// Where a crate finds the SDK.
#[derive(Debug, Clone)]
pub enum SdkSource {
    /// The directory of its source.
    Path(PathBuf),
    /// A version of it in the registry of crates.
    Version(String),
}

/// A crate that was made.
#[derive(Debug, Clone)]
pub struct Scaffolded {
    /// The crate's directory.
    pub path: PathBuf,
    /// The name of its view.
    pub view: String,
    /// The files in it, relative to the directory.
    pub files: Vec<&'static str>,
}

/// The files of a new crate. The manifest comes last, so that an interrupted run leaves no crate behind.
const FILES: [(&str, &str); 5] = [
    (".gitignore", include_str!("../template/gitignore.txt")),
    ("README.md", include_str!("../template/README.md.txt")),
    ("sample.jsonl", include_str!("../template/sample.jsonl.txt")),
    ("src/lib.rs", include_str!("../template/lib.rs.txt")),
    ("Cargo.toml", include_str!("../template/Cargo.toml.txt")),
];

/// Words that name something else in Rust or in the new crate.
const TAKEN: [&str; 61] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "payment",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tests",
    "trait",
    "trifold_sdk",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    "log",
];

/// Makes a crate that builds, and whose logic runs under plain `cargo test`.
pub fn scaffold(options: &ScaffoldOptions) -> Result<Scaffolded, ScaffoldError> {
    let view = view_name(&options.name)?;
    let sdk = dependency(&options.sdk)?;
    let path = options.parent.join(&options.name);
    if is_occupied(&path) {
        return Err(ScaffoldError::Occupied { path });
    }
    for (file, template) in FILES {
        let text = template.replace("{name}", &options.name).replace("{view}", &view).replace("{sdk}", &sdk);
        write(&path.join(file), &text)?;
    }
    Ok(Scaffolded { path, view, files: FILES.map(|(file, _)| file).to_vec() })
}

fn view_name(name: &str) -> Result<String, ScaffoldError> {
    let refuse = |reason| Err(ScaffoldError::Name { name: name.to_owned(), reason });
    let view = name.replace('-', "_");
    if view.parse::<ViewName>().is_err() {
        return refuse(
            "use a lower-case letter followed by lower-case letters, digits, `-` and `_`, at most 64 in all",
        );
    }
    if TAKEN.contains(&view.as_str()) {
        return refuse("it has a meaning of its own in Rust or in the new crate; add a word to it");
    }
    Ok(view)
}

/// The right-hand side of the SDK's line in the manifest.
fn dependency(sdk: &SdkSource) -> Result<String, ScaffoldError> {
    match sdk {
        SdkSource::Version(version) => Ok(quoted(version)),
        SdkSource::Path(dir) => {
            let path = fs::canonicalize(dir).unwrap_or_default();
            let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
            if !manifest.lines().any(|line| line.trim() == "name = \"trifold-sdk\"") {
                return Err(ScaffoldError::NoSdk { path: dir.clone() });
            }
            let text = path.to_str().ok_or_else(|| ScaffoldError::PathText { path: path.clone() })?;
            Ok(format!("{{ path = {} }}", quoted(text)))
        }
    }
}

/// A string of TOML, whose escapes are those of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether something is there that a new crate would overwrite or mix with.
fn is_occupied(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn write(path: &Path, text: &str) -> Result<(), ScaffoldError> {
    let failed = |source| ScaffoldError::Write { path: path.to_owned(), source };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version_in(parent: &Path, name: &str) -> Result<Scaffolded, ScaffoldError> {
        let sdk = SdkSource::Version("0.1".to_owned());
        scaffold(&ScaffoldOptions { name: name.to_owned(), parent: parent.to_owned(), sdk })
    }

    #[test]
    fn names_fit_crates_and_views() {
        let dir = tempfile::tempdir().unwrap();
        for good in ["a", "card-risk", "card_risk2"] {
            let made = version_in(dir.path(), good).unwrap();
            assert_eq!(made.view, good.replace('-', "_"));
        }
        for bad in
            ["", "-a", "Card", "2cards", "card risk", "../card", "match", "test", "core", "trifold-sdk", "é"]
        {
            let error = version_in(dir.path(), bad).unwrap_err();
            assert!(matches!(error, ScaffoldError::Name { .. }), "{bad}: {error}");
        }
    }

    #[test]
    fn every_placeholder_is_filled() {
        let dir = tempfile::tempdir().unwrap();
        let made = version_in(dir.path(), "card-risk").unwrap();
        for file in &made.files {
            let text = fs::read_to_string(made.path.join(file)).unwrap();
            assert!(!["{name}", "{view}", "{sdk}"].iter().any(|hole| text.contains(hole)), "{file}:\n{text}");
        }
        let manifest = fs::read_to_string(made.path.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("name = \"card-risk\"") && manifest.contains("trifold-sdk = \"0.1\""));
    }

    #[test]
    fn the_sample_holds_events_of_the_view() {
        let dir = tempfile::tempdir().unwrap();
        let made = version_in(dir.path(), "card-risk").unwrap();
        let sample = fs::read_to_string(made.path.join("sample.jsonl")).unwrap();
        let events: Vec<serde_json::Value> =
            sample.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events.len(), 3);
        for event in &events {
            let columns: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(columns, ["event_id", "event_time", "card", "amount", "balance"]);
        }
        assert_eq!(events.iter().filter(|event| event["balance"].is_null()).count(), 1);
    }

    #[test]
    fn what_is_there_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("empty")).unwrap();
        version_in(dir.path(), "empty").unwrap();
        let manifest = fs::read(dir.path().join("empty/Cargo.toml")).unwrap();
        assert!(matches!(version_in(dir.path(), "empty"), Err(ScaffoldError::Occupied { .. })));
        assert_eq!(fs::read(dir.path().join("empty/Cargo.toml")).unwrap(), manifest);

        fs::write(dir.path().join("file"), "text").unwrap();
        assert!(matches!(version_in(dir.path(), "file"), Err(ScaffoldError::Occupied { .. })));
    }

    #[test]
    fn a_directory_without_the_sdk_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().join("missing"), dir.path().to_owned()] {
            let options = ScaffoldOptions {
                name: "a".to_owned(),
                parent: dir.path().to_owned(),
                sdk: SdkSource::Path(path),
            };
            assert!(matches!(scaffold(&options), Err(ScaffoldError::NoSdk { .. })));
        }
        assert!(!dir.path().join("a").exists());
    }

    #[test]
    fn a_path_is_quoted_for_the_manifest() {
        assert_eq!(quoted("C:\\the \"sdk\""), r#""C:\\the \"sdk\"""#);
    }
}
