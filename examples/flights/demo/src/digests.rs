//! Row digests by number, and their comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, RecordBatch};
use trifold_eventlog::read_row_files;

use crate::error::DemoError;

/// By the offset of an event or the number of a lookup, the digest of its row; `None` where it was unavailable.
pub(crate) type Digests = BTreeMap<u64, Option<[u8; 16]>>;

/// The column that numbers the rows of events.
pub(crate) const OFFSET: &str = "_offset";
/// The column that numbers the rows of a spine.
pub(crate) const SPINE_ROW: &str = "_spine_row";
const ROW_DIGEST: &str = "_row_digest";

/// Reads the digests of a directory of row files.
pub(crate) fn read(dir: &Path, number: &str) -> Result<Digests, DemoError> {
    let mut digests = Digests::new();
    for batch in read_row_files(dir, None)? {
        let batch = batch?;
        let before = digests.len();
        digests.extend(of_batch(&batch, number).ok_or_else(|| {
            DemoError::Unexpected(format!("{}: there is no column {number} or {ROW_DIGEST}", dir.display()))
        })?);
        if digests.len() != before + batch.num_rows() {
            return Err(DemoError::Unexpected(format!("{}: a row stands there twice", dir.display())));
        }
    }
    Ok(digests)
}

fn of_batch(batch: &RecordBatch, number: &str) -> Option<Vec<(u64, Option<[u8; 16]>)>> {
    let numbers = batch.column_by_name(number)?.as_primitive_opt::<UInt64Type>()?;
    let digests = batch.column_by_name(ROW_DIGEST)?.as_binary_opt::<i32>()?;
    let digest = |row: usize| digests.is_valid(row).then(|| digests.value(row).try_into().ok()).flatten();
    Some(numbers.values().iter().enumerate().map(|(row, number)| (*number, digest(row))).collect())
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Compared {
    /// Pairs of digests that were compared.
    pub(crate) compared: u64,
    /// Pairs that differ, and rows of one side only.
    pub(crate) differing: u64,
}

/// Compares two sides row by row.
pub(crate) fn compare(left: &Digests, right: &Digests) -> Compared {
    let numbers: BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let mut found = Compared::default();
    for number in numbers {
        match (left.get(number), right.get(number)) {
            (Some(Some(left)), Some(Some(right))) => {
                found.compared += 1;
                found.differing += u64::from(left != right);
            }
            // An unavailable row has no digest and agrees with nothing.
            _ => found.differing += 1,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_side_and_unavailable_rows_differ() {
        let [a, b] = [Some([1; 16]), Some([2; 16])];
        let found = |left: &[(u64, _)], right: &[(u64, _)]| {
            let found = compare(&left.iter().copied().collect(), &right.iter().copied().collect());
            (found.compared, found.differing)
        };
        assert_eq!(found(&[(0, a), (1, b)], &[(0, a), (1, b)]), (2, 0));
        assert_eq!(found(&[(0, a), (1, b)], &[(0, a), (1, a)]), (2, 1));
        assert_eq!(found(&[(0, a)], &[(0, a), (1, b)]), (1, 1));
        assert_eq!(found(&[(0, a), (2, b)], &[(0, a)]), (1, 1));
        assert_eq!(found(&[(0, None)], &[(0, None)]), (0, 1));
    }
}
