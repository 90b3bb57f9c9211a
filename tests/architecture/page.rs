//! Reading `ARCHITECTURE.md`.

use std::fs;

use trifold_tests::root;

/// The page's text.
pub(crate) fn text() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

/// The arrow line: the names of each layer, from those that may depend on all others to the one that may depend
/// on none.
pub(crate) fn layers() -> Vec<Vec<String>> {
    let text = text();
    let mut lines = text.lines().filter(|line| line.contains(" -> "));
    let line = lines.next().expect("no line of arrows");
    assert_eq!(lines.next(), None, "two lines of arrows");
    let layer = |layer: &str| layer.split(" | ").map(|name| name.trim().to_owned()).collect();
    line.split(" -> ").map(layer).collect()
}

/// A line of the code map.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Folders, as `host/model`, or as `examples/` for all below it, or as `transforms/<name>` for the rest there.
    pub(crate) folders: Vec<String>,
    /// The libraries that only these folders know.
    pub(crate) knows: Vec<String>,
}

/// The code map.
pub(crate) fn code_map() -> Vec<Entry> {
    let text = text();
    let rows = text.lines().skip_while(|line| !line.starts_with("| folder ")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let entries: Vec<_> = rows.map(entry).collect();
    assert!(entries.len() > 10, "the code map has {} lines", entries.len());
    entries
}

fn entry(row: &str) -> Entry {
    let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
    let [folders, knows, about, _change] = cells.as_slice() else { panic!("not four cells: {row}") };
    assert!(!about.is_empty(), "nothing said of {folders}");
    let list = |cell: &str| {
        let names = cell.split(',').map(|name| name.trim().trim_matches('`').to_owned());
        names.filter(|name| !name.is_empty()).collect()
    };
    Entry { folders: list(folders), knows: list(knows) }
}

/// The places that the invariants name as those where they are held.
pub(crate) fn held_in() -> Vec<String> {
    let text = text();
    let section = text.split("\n## Invariants").nth(1).expect("no invariants");
    let section = section.split("\n## ").next().unwrap_or_default();
    let brackets = section.split('[').skip(1).filter_map(|rest| rest.split(']').next());
    let quoted = |list: &str| list.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    brackets.flat_map(quoted).collect()
}
