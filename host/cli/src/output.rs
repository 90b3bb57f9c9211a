//! What commands print on standard output: text for people, one JSON document for scripts.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use crate::args::Format;
use crate::exit::{Exit, OrExit, Outcome};

/// How much of a digest people are shown.
pub const DIGEST_SHOWN: usize = 12;

/// Prints a result in the form asked for.
pub fn print<T: Serialize>(format: Format, result: &T, text: impl FnOnce(&T) -> String) -> Outcome {
    write(&match format {
        Format::Text => text(result),
        Format::Json => serde_json::to_string_pretty(result).or_exit(Exit::Internal)?,
    })
}

/// Prints one of several results that a running command has to tell; as JSON each takes one line.
pub fn line<T: Serialize>(format: Format, result: &T, text: impl FnOnce(&T) -> String) -> Outcome {
    write(&match format {
        Format::Text => text(result),
        Format::Json => serde_json::to_string(result).or_exit(Exit::Internal)?,
    })
}

fn write(text: &str) -> Outcome {
    match writeln!(std::io::stdout().lock(), "{}", text.trim_end()) {
        // Whoever reads the output may stop reading; that is no failure of ours.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.or_exit(Exit::Io),
    }
}

/// Lays lines out in columns under headings.
pub fn listing<const N: usize>(headings: [&str; N], lines: impl Iterator<Item = [String; N]>) -> String {
    let rows = std::iter::once(headings.map(str::to_owned)).chain(lines);
    table(&rows.map(Vec::from).collect::<Vec<_>>())
}

/// How many there are of each.
pub fn counts(of: &BTreeMap<&'static str, u64>) -> String {
    of.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}

/// Lays rows out in columns.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
