//! Sources as the compiler sees them: without comments, the contents of strings, and tests.

use std::fs;
use std::path::{Path, PathBuf};

use trifold_tests::root;

/// A source file.
pub(crate) struct Source {
    /// Its path below the root.
    pub(crate) path: String,
    /// Its code, with as many lines as the file.
    pub(crate) code: String,
}

impl Source {
    /// The lines that hold a text, as `path:line`.
    pub(crate) fn lines_with(&self, text: &str) -> Vec<String> {
        let lines = self.code.lines().zip(1..).filter(|(line, _)| line.contains(text));
        lines.map(|(_, number)| format!("{}:{number}", self.path)).collect()
    }
}

/// The sources of a folder's crate that are compiled into it for its users.
pub(crate) fn of(folder: &str) -> Vec<Source> {
    let mut files = Vec::new();
    rust_files(&root().join(folder).join("src"), &mut files);
    assert!(!files.is_empty(), "{folder} has no sources");
    let sources = files.into_iter().filter(|path| !path.ends_with("tests.rs")).map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        // Tests stand at the end of their file.
        let code = text.split("#[cfg(test)]\nmod ").next().map(stripped).unwrap_or_default();
        Source { path: path.strip_prefix(root()).unwrap().display().to_string(), code }
    });
    sources.collect()
}

/// The Rust files below a directory, sorted.
fn rust_files(directory: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Code without comments and without what stands in strings; line ends stay.
fn stripped(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = skipped(rest);
        if skipped > 0 {
            code.extend(rest[..skipped].chars().filter(|character| *character == '\n'));
            rest = &rest[skipped..];
        } else {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    code
}

/// How many bytes of a comment or of a literal begin here.
fn skipped(rest: &str) -> usize {
    let until = |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        until(2, "*/")
    } else if rest.starts_with("r\"") {
        until(2, "\"")
    } else if rest.starts_with("r#\"") {
        until(3, "\"#")
    } else if rest.starts_with('"') {
        string_end(rest)
    } else if rest.starts_with("'\"'") {
        3
    } else if rest.starts_with("'\\\"'") {
        4
    } else {
        0
    }
}

fn string_end(rest: &str) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[test]
fn comments_and_strings_are_no_code() {
    let text = "a /* HashMap\n */ b // HashMap\n\"Hash\\\"Map\n\" c '\"' r#\"Hash\"Map\"# d";
    assert_eq!(stripped(text), "a \n b \n\n c   d");
}
