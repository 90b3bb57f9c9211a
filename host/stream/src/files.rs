//! Row files and aside files.
//!
//! ```text
//! <rows>/<view>/<state id>/<partition>-<first offset>.parquet           or .jsonl
//! <rows>/<view>/<state id>/<partition>-<first offset>-canary.parquet    or .jsonl
//! <rows>/<view>/<state id>/_rows.json                                   beside .jsonl
//! <aside>/<view>/<state id>/<partition>-<first offset>.jsonl
//! ```
//!
//! The offset has 18 digits, so that the order of the names is that of the log. A file holds what one step
//! emitted; a step that emitted nothing leaves none. Rows of a canary, which may have more columns, stand in a file of their
//! own beside those of the version in force, whatever their state.
//!
//! Parquet files carry the view and where its times of arrival came from as metadata of their schema. Rows in JSON
//! lines cannot, so there stands `_rows.json` beside them, one object: `{"format":1,"view":...,"arrival":...}`,
//! with the words of the metadata. It is durable before the first row is, and a worker that starts writes it anew.
//! Files whose names begin with `_` hold no rows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use trifold_eventlog::{LogError, RowFileWriter, RowFormat};
use trifold_pipeline::row_table::{ARRIVAL_METADATA, VIEW_METADATA};

use crate::aside;
use crate::feed::FeedId;
use crate::sink::{Discard, Emission, Sink};

const OFFSET_DIGITS: usize = 18;
/// What follows the offset in the name of a file with the rows of a canary.
const CANARY: &str = "-canary";

/// The file that describes the JSON lines beside it.
const DESCRIPTION_NAME: &str = "_rows.json";
/// The format of these directories.
const FORMAT: i64 = 1;

/// The directory below `root` that holds the files of one feed.
pub fn feed_dir(root: &Path, feed: &FeedId) -> PathBuf {
    root.join(feed.view.as_str()).join(feed.state.to_string())
}

/// Writes emitted rows and set-aside events into directories.
#[derive(Debug, Clone)]
pub struct FileSink {
    rows: Option<(PathBuf, RowFormat)>,
    aside: Option<PathBuf>,
    /// The directories that were described since the sink was made.
    described: BTreeSet<PathBuf>,
}

impl FileSink {
    /// A sink that writes neither.
    pub fn new() -> Self {
        FileSink { rows: None, aside: None, described: BTreeSet::new() }
    }

    /// Writes emitted rows below a directory.
    pub fn with_rows(mut self, dir: PathBuf, format: RowFormat) -> Self {
        self.rows = Some((dir, format));
        self
    }

    /// Writes set-aside events below a directory.
    pub fn with_aside(mut self, dir: PathBuf) -> Self {
        self.aside = Some(dir);
        self
    }
}

impl Default for FileSink {
    fn default() -> Self {
        FileSink::new()
    }
}

impl Sink for FileSink {
    fn write(&mut self, emission: &Emission) -> Result<(), LogError> {
        if let Some((dir, format)) = &self.rows {
            let canary = emission.canary.as_ref().map(|rows| (CANARY, rows));
            for (whose, rows) in [("", &emission.rows)].into_iter().chain(canary) {
                if *format == RowFormat::JsonLines && rows.num_rows() > 0 {
                    describe(feed_dir(dir, &emission.feed), rows, &mut self.described)?;
                }
                write_file(&file_path(dir, emission, whose, *format), rows, *format)?;
            }
        }
        if let Some(dir) = &self.aside {
            let path = file_path(dir, emission, "", RowFormat::JsonLines);
            let table = aside::table(emission.partition, &emission.aside);
            let table =
                table.map_err(|source| LogError::RowSchema { file: path.clone(), detail: source.to_string() })?;
            write_file(&path, &table, RowFormat::JsonLines)?;
        }
        Ok(())
    }

    fn discard(&mut self, feed: &FeedId, partition: u32, next: u64) -> Result<Discard, LogError> {
        let mut file_count = 0;
        for dir in self.rows.iter().map(|(dir, _)| dir).chain(&self.aside) {
            file_count += discard_in(&feed_dir(dir, feed), partition, next)?;
        }
        Ok(Discard { file_count })
    }
}

fn file_path(root: &Path, emission: &Emission, whose: &str, format: RowFormat) -> PathBuf {
    let Emission { feed, partition, first_offset, .. } = emission;
    let name = format!("{partition}-{first_offset:0OFFSET_DIGITS$}{whose}.{}", format.extension());
    feed_dir(root, feed).join(name)
}

fn write_file(path: &Path, rows: &RecordBatch, format: RowFormat) -> Result<(), LogError> {
    if rows.num_rows() == 0 {
        return Ok(());
    }
    let mut writer = RowFileWriter::create(path, rows.schema(), format)?;
    writer.write(rows)?;
    writer.finish()?;
    Ok(())
}

/// Writes the description of a directory's rows, unless that was done before.
fn describe(dir: PathBuf, rows: &RecordBatch, described: &mut BTreeSet<PathBuf>) -> Result<(), LogError> {
    if described.contains(&dir) {
        return Ok(());
    }
    let (path, schema) = (dir.join(DESCRIPTION_NAME), rows.schema());
    let word =
        |key| Arc::new(StringArray::from_iter([schema.metadata().get(key).map(String::as_str)])) as ArrayRef;
    let description = RecordBatch::try_from_iter([
        ("format", Arc::new(Int64Array::from_value(FORMAT, 1)) as ArrayRef),
        ("view", word(VIEW_METADATA)),
        ("arrival", word(ARRIVAL_METADATA)),
    ]);
    let problem = |detail: String| LogError::RowSchema { file: path.clone(), detail };
    write_file(&path, &description.map_err(|source| problem(source.to_string()))?, RowFormat::JsonLines)?;
    described.insert(dir);
    Ok(())
}

/// Removes the files of a partition that begin at `next` or later, and all unfinished ones.
fn discard_in(dir: &Path, partition: u32, next: u64) -> Result<u64, LogError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(source) => return Err(LogError::Io { action: "list", path: dir.to_owned(), source }),
    };
    let mut file_count = 0;
    for entry in entries {
        let path = entry.map_err(|source| LogError::Io { action: "list", path: dir.to_owned(), source })?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let unfinished = name.starts_with('.');
        let Some((of, first)) = parse_name(name.trim_start_matches('.')) else { continue };
        if of == partition && (unfinished || first >= next) {
            fs::remove_file(&path).map_err(|source| LogError::Io { action: "remove", path, source })?;
            file_count += u64::from(!unfinished);
        }
    }
    Ok(file_count)
}

/// The partition and first offset that a file's name says; `None` for files that are not ours.
fn parse_name(name: &str) -> Option<(u32, u64)> {
    let (place, extension) = name.split_once('.')?;
    let (partition, offset) = place.strip_suffix(CANARY).unwrap_or(place).split_once('-')?;
    let ours =
        [RowFormat::Parquet, RowFormat::JsonLines].iter().any(|format| extension.starts_with(format.extension()));
    let digits = offset.len() == OFFSET_DIGITS && offset.bytes().all(|byte| byte.is_ascii_digit());
    (ours && digits).then_some(())?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_ours_say_where_a_file_begins() {
        assert_eq!(parse_name("0-000000000000008192.parquet"), Some((0, 8192)));
        assert_eq!(parse_name("12-000000000000000000.jsonl.unfinished"), Some((12, 0)));
        assert_eq!(parse_name("0-000000000000008192-canary.parquet"), Some((0, 8192)));
        for foreign in [
            "0-8192.parquet",
            "0-00000000000000819x.jsonl",
            "notes.jsonl",
            "0-000000000000008192.csv",
            "0-000000000000008192-mine.parquet",
        ] {
            assert_eq!(parse_name(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn only_what_begins_later_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let kept = [
            "0-000000000000000000.parquet",
            "0-000000000000000009.jsonl",
            "1-000000000000000010.jsonl",
            "_rows.json",
            "mine",
        ];
        let removed = ["0-000000000000000010-canary.parquet", "0-000000000000000011.jsonl"];
        let unfinished = ".0-000000000000000003.parquet.unfinished";
        for name in kept.iter().chain(&removed).chain([&unfinished]) {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(discard_in(dir.path(), 0, 10).unwrap(), 2);
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, kept);
        assert_eq!(discard_in(&dir.path().join("none"), 0, 0).unwrap(), 0);
    }
}
