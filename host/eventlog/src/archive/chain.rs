//! The files of an archive: their names, and whether they go on from each other.

use std::fs;
use std::path::{Path, PathBuf};

use trifold_model::calendar::civil_from_days;

use super::{ArchiveError, Manifest};
use crate::LogError;
use crate::time::DAY_MICROS;

/// A file by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// The offset at which it begins.
    pub(super) first: u64,
    pub(super) path: PathBuf,
}

/// The name of the file that holds a partition from an offset on, and of the directory of its day.
pub(super) fn name(partition: u32, first: u64, micros: i64) -> PathBuf {
    let (year, month, day) = civil_from_days(micros.div_euclid(DAY_MICROS));
    Path::new(&format!("day={year:04}-{month:02}-{day:02}")).join(file_name(partition, first))
}

fn file_name(partition: u32, first: u64) -> String {
    format!("{partition:05}-{first:020}.parquet")
}

/// What the name of a file says.
pub(super) fn parse(path: &Path) -> Option<(u32, u64)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".parquet")?;
    let (partition, first) = stem.split_once('-')?;
    let (partition, first) = (partition.parse().ok()?, first.parse().ok()?);
    (path.file_name()?.to_str()? == file_name(partition, first)).then_some((partition, first))
}

/// The files of each partition, in the order of their offsets.
pub(super) fn list(dir: &Path, manifest: &Manifest) -> Result<Vec<Vec<Link>>, LogError> {
    let mut chains = vec![Vec::new(); manifest.begins.len()];
    for day in entries(dir)? {
        if !day.is_dir() || !is_named(&day, |name| name.starts_with("day=")) {
            return Err(ArchiveError::Foreign { path: day }.into());
        }
        for path in entries(&day)? {
            let Some((partition, first)) = parse(&path) else {
                return Err(ArchiveError::Foreign { path }.into());
            };
            let begin = manifest.begin(dir, partition)?;
            if first < begin {
                let detail = format!("it begins before offset {begin}, from which the partition is archived");
                return Err(ArchiveError::File { file: path, detail }.into());
            }
            chains[partition as usize].push(Link { first, path });
        }
    }
    for chain in &mut chains {
        chain.sort_by_key(|link| link.first);
        if let Some(twice) = chain.windows(2).find(|pair| pair[0].first == pair[1].first) {
            let detail = format!("{} begins at the same offset", twice[0].path.display());
            return Err(ArchiveError::File { file: twice[1].path.clone(), detail }.into());
        }
    }
    Ok(chains)
}

/// Whether a partition has a file that begins at an offset, of whichever day.
pub(super) fn has(dir: &Path, partition: u32, first: u64) -> Result<bool, LogError> {
    let name = file_name(partition, first);
    Ok(entries(dir)?.into_iter().any(|day| day.join(&name).exists()))
}

/// The files of one partition.
pub(super) fn of_partition(dir: &Path, manifest: &Manifest, partition: u32) -> Result<Vec<Link>, LogError> {
    manifest.begin(dir, partition)?;
    Ok(list(dir, manifest)?.swap_remove(partition as usize))
}

/// Fails unless a file begins where the one before it ends.
pub(super) fn check(dir: &Path, partition: u32, end: u64, next: &Link) -> Result<(), LogError> {
    let first = next.first;
    if first == end {
        return Ok(());
    }
    if first > end {
        return Err(ArchiveError::Gap { dir: dir.to_owned(), partition, from: end, to: first }.into());
    }
    let detail = format!("it begins at offset {first}, and the file before it ends at {end}");
    Err(ArchiveError::File { file: next.path.clone(), detail }.into())
}

/// What a directory holds, without what is hidden or ours alone.
pub(super) fn entries(dir: &Path) -> Result<Vec<PathBuf>, LogError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(LogError::io("list", dir))? {
        let path = entry.map_err(LogError::io("list", dir))?.path();
        if !is_named(&path, |name| name.starts_with(['.', '_'])) {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn is_named(path: &Path, is_it: impl Fn(&str) -> bool) -> bool {
    path.file_name().is_some_and(|name| is_it(&name.to_string_lossy()))
}
