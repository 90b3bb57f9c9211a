//! What was read of a log, so that a reader can tell after a restart whether its position still means the same.
//!
//! ```text
//! u64 first offset of the last file that was read from, then over the files before it that have rows:
//! u32 count, 32 bytes XOR of the hashes of (name, rows), u32 length + XOR of the names
//! and, up to the end, the name of the last file
//! ```
//!
//! All numbers are little-endian, and nothing was read where there are no bytes. The names decide the order of the
//! files, so that a sum over them needs none. It is as long as the longest name whatever the number of files, and
//! from what it differs by, one file that changed can be named: a file that was added is the one whose hash is the
//! difference, and the name of one that is gone is the difference of the names.

/// Sums over the files before one that have rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    files: u32,
    digest: [u8; 32],
    names: Vec<u8>,
}

/// A file that has rows: its name and how many.
pub(crate) type Rows = (Vec<u8>, u64);

/// What was read of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Consumed {
    /// The offset of the first row of the last file that was read from.
    pub(crate) first: u64,
    /// The files before it.
    pub(crate) before: Sums,
    /// Its name.
    pub(crate) last: Vec<u8>,
}

/// How the files of a log differ from those that were read, and how to undo that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogChange {
    /// A file has come to stand before others that were read.
    #[error(
        "file `{file}` ({rows} rows) is new and sorts before `{last}`, which was already read: rename it so that it \
         sorts last"
    )]
    Added {
        /// The new file.
        file: String,
        /// Its rows.
        rows: u64,
        /// The last file that was read from.
        last: String,
    },
    /// A file is gone, and with it the offsets of all that follow.
    #[error("file `{file}`, of which {rows} rows were read, is gone or has another name: put it back")]
    Removed {
        /// The file.
        file: String,
        /// The rows that were read of it.
        rows: u64,
    },
    /// A file has another name.
    #[error("file `{from}`, which was already read, is now named `{to}`: give it its old name back")]
    Renamed {
        /// Its name when it was read.
        from: String,
        /// Its name now.
        to: String,
    },
    /// A file has more or fewer rows.
    #[error("file `{file}` had {was} rows when it was read and has {is} now: put the old file back")]
    Resized {
        /// The file.
        file: String,
        /// The rows that were read of it.
        was: u64,
        /// The rows that it has now.
        is: u64,
    },
    /// More than one file changed.
    #[error(
        "several files before `{last}` have changed: {files_was} files with {rows_was} rows were read there, and \
         there are {files_is} files with {rows_is} rows now: put the old files back, and give new ones names that \
         sort last"
    )]
    Several {
        /// The last file that was read from.
        last: String,
        /// How many files with rows were read before it.
        files_was: u32,
        /// Their rows.
        rows_was: u64,
        /// How many files with rows stand before it now.
        files_is: u32,
        /// Their rows.
        rows_is: u64,
    },
    /// What is known of the files that were read is of no known form.
    #[error("what is stored of the files that were read ({bytes} bytes) does not decode: put the old store back")]
    Unknown {
        /// How many bytes are stored.
        bytes: usize,
    },
}

impl Sums {
    /// The sums with one more file. A file without rows moves no offset and does not count.
    pub(crate) fn with(&self, name: &[u8], rows: u64) -> Sums {
        if rows == 0 {
            return self.clone();
        }
        let digest = xor_digest(&self.digest, &hash(name, rows));
        Sums { files: self.files + 1, digest, names: xor(&self.names, name) }
    }
}

impl Consumed {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Sums { files, digest, names } = &self.before;
        let mut bytes = self.first.to_le_bytes().to_vec();
        bytes.extend_from_slice(&files.to_le_bytes());
        bytes.extend_from_slice(digest);
        bytes.extend_from_slice(&(names.len() as u32).to_le_bytes());
        bytes.extend_from_slice(names);
        bytes.extend_from_slice(&self.last);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Consumed, LogChange> {
        let parts = || {
            let (first, rest) = bytes.split_first_chunk()?;
            let (files, rest) = rest.split_first_chunk()?;
            let (digest, rest) = rest.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let (names, last) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            let (files, digest, names) = (u32::from_le_bytes(*files), *digest, names.to_vec());
            let before = Sums { files, digest, names };
            Some(Consumed { first: u64::from_le_bytes(*first), before, last: last.to_vec() })
        };
        parts().ok_or(LogChange::Unknown { bytes: bytes.len() })
    }

    /// Compares the files before the last one with those that stand there now. `first` is where they end.
    pub(crate) fn check_before(&self, first: u64, now: &Sums, files: &[Rows]) -> Result<(), LogChange> {
        if (self.first, &self.before) == (first, now) {
            return Ok(());
        }
        Err(self.one_change(first, now, files).unwrap_or_else(|| LogChange::Several {
            last: text(&self.last),
            files_was: self.before.files,
            rows_was: self.first,
            files_is: now.files,
            rows_is: first,
        }))
    }

    /// The one change that makes the difference, if there is one.
    fn one_change(&self, first: u64, now: &Sums, files: &[Rows]) -> Option<LogChange> {
        let digest = xor_digest(&self.before.digest, &now.digest);
        let names = xor(&self.before.names, &now.names);
        match i64::from(now.files) - i64::from(self.before.files) {
            1 => {
                let (file, rows) = files.iter().find(|(name, rows)| hash(name, *rows) == digest)?;
                Some(LogChange::Added { file: text(file), rows: *rows, last: text(&self.last) })
            }
            -1 => {
                let rows = self.first.checked_sub(first)?;
                let is_it = hash(&names, rows) == digest;
                is_it.then(|| LogChange::Removed { file: text(&names), rows })
            }
            0 => files.iter().find_map(|(name, is)| {
                let (old, was) = (xor(&names, name), (is + self.first).checked_sub(first)?);
                let is_it = xor_digest(&hash(&old, was), &hash(name, *is)) == digest;
                is_it.then(|| match old == *name {
                    true => LogChange::Resized { file: text(name), was, is: *is },
                    false => LogChange::Renamed { from: text(&old), to: text(name) },
                })
            }),
            _ => None,
        }
    }

    /// Checks that the last file still has the rows that were read before `next`.
    pub(crate) fn check_last(&self, next: u64, is: u64) -> Result<(), LogChange> {
        let was = next.saturating_sub(self.first);
        match is < was {
            true => Err(LogChange::Resized { file: text(&self.last), was, is }),
            false => Ok(()),
        }
    }

    /// That the last file is gone.
    pub(crate) fn last_gone(&self, next: u64) -> LogChange {
        LogChange::Removed { file: text(&self.last), rows: next.saturating_sub(self.first) }
    }
}

fn hash(name: &[u8], rows: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&rows.to_le_bytes());
    hasher.update(name);
    hasher.finalize().into()
}

fn xor_digest(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|at| left[at] ^ right[at])
}

/// The XOR of two names, the shorter one filled up with zeros, which no name has and none are left of at the end.
fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    let byte = |of: &[u8], at| of.get(at).copied().unwrap_or(0);
    let mut sum: Vec<u8> = (0..left.len().max(right.len())).map(|at| byte(left, at) ^ byte(right, at)).collect();
    sum.truncate(sum.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    sum
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(files: &[Rows]) -> Sums {
        files.iter().fold(Sums::default(), |sums, (name, rows)| sums.with(name, *rows))
    }

    fn files(files: &[(&str, u64)]) -> Vec<Rows> {
        files.iter().map(|(name, rows)| (name.as_bytes().to_vec(), *rows)).collect()
    }

    fn total(files: &[Rows]) -> u64 {
        files.iter().map(|(_, rows)| rows).sum()
    }

    fn consumed(before: &[Rows]) -> Consumed {
        Consumed { first: total(before), before: sums(before), last: b"z.jsonl".to_vec() }
    }

    #[test]
    fn the_bytes_are_the_documented_ones() {
        let consumed = consumed(&files(&[("a.jsonl", 2), ("longer.parquet", 3)]));
        let bytes = consumed.encode();
        assert_eq!(Consumed::decode(&bytes), Ok(consumed));
        assert_eq!(bytes[..12], [5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(bytes[44..48], [14, 0, 0, 0]);
        assert_eq!((&bytes[55..62], &bytes[62..]), (&b"parquet"[..], &b"z.jsonl"[..]));
        for length in 0..62 {
            assert_eq!(Consumed::decode(&bytes[..length]), Err(LogChange::Unknown { bytes: length }));
        }
    }

    #[test]
    fn the_size_does_not_grow_with_the_files() {
        let many: Vec<_> = (0..1000).map(|file| (format!("{file:020}.parquet").into_bytes(), 7)).collect();
        assert!(consumed(&many).encode().len() <= 48 + 28 + 7);
    }

    #[test]
    fn one_change_is_named() {
        let was = files(&[("a.jsonl", 2), ("b.parquet", 3), ("c.jsonl", 3)]);
        let named = |is: &[(&str, u64)]| {
            let is = files(is);
            let change = consumed(&was).check_before(total(&is), &sums(&is), &is).unwrap_err();
            change.to_string().split(':').next().unwrap_or_default().to_owned()
        };
        let (a, b, c) = (("a.jsonl", 2), ("b.parquet", 3), ("c.jsonl", 3));
        assert_eq!(
            named(&[a, ("ab.jsonl", 9), b, c]),
            "file `ab.jsonl` (9 rows) is new and sorts before `z.jsonl`, which was already read"
        );
        let gone = "file `b.parquet`, of which 3 rows were read, is gone or has another name";
        assert_eq!(named(&[a, c]), gone);
        let renamed = "file `b.parquet`, which was already read, is now named `bb.parquet`";
        assert_eq!(named(&[a, ("bb.parquet", 3), c]), renamed);
        let swapped = "file `b.parquet`, which was already read, is now named `d`";
        assert_eq!(named(&[a, c, ("d", 3)]), swapped);
        assert_eq!(named(&[a, ("b.parquet", 1), c]), "file `b.parquet` had 3 rows when it was read and has 1 now");
        assert_eq!(
            named(&[("0.jsonl", 1), ("1.jsonl", 1), a, b, c]),
            "several files before `z.jsonl` have changed"
        );
        // The rows are as many as they were, and still other ones.
        assert_eq!(named(&[("a.jsonl", 3), ("b.parquet", 2), c]), "several files before `z.jsonl` have changed");
    }

    #[test]
    fn the_same_files_pass_and_empty_ones_do_not_count() {
        let was = files(&[("a.jsonl", 2), ("b.parquet", 3)]);
        let is = sums(&was).with(b"empty.jsonl", 0);
        assert_eq!(consumed(&was).check_before(5, &is, &was), Ok(()));
        assert_eq!(consumed(&was).check_last(9, 4), Ok(()));
        assert!(matches!(consumed(&was).check_last(9, 3), Err(LogChange::Resized { was: 4, is: 3, .. })));
    }
}
