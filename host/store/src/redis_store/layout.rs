//! What lies where in a Redis.
//!
//! ```text
//! PREFIX:{STATE.BUCKET}:marker      hash: by partition, what is said of its log in this bucket, see [`Held`]
//! PREFIX:{STATE.BUCKET}:e:ENTITY    of a row view, a string: 24 bytes of stamp, the record as in `codec`
//!                                   of a window view, a hash: `life` is the stamp, and by slot what it holds
//! PREFIX:{STATE.BUCKET}:x:ENTITY    of a window view, a hash likewise: the entity's events, which few lookups need
//! ```
//!
//! The entities of a state are spread over buckets by the hash of their keys. A bucket is what one node of a cluster has
//! as a whole, with a marker of its own: a node that lost what it had lost the marker too, and whatever is read of a
//! bucket is read together with it. What stands in braces is what a cluster goes by.

use trifold_model::{EntityKey, StateId};

use crate::codec::{decode_marker, encode_marker};
use crate::error::Damage;
use crate::record::Marker;

/// How many buckets a state has: enough to spread over the nodes of a large cluster, few enough to say of each how far
/// it is.
pub const BUCKETS: usize = 32;

/// The names of the keys of a state.
pub(crate) struct Names<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) state: StateId,
}

impl Names<'_> {
    pub(crate) fn marker(&self, bucket: usize) -> Vec<u8> {
        self.name(bucket, "marker").into_bytes()
    }

    /// What is kept of an entity, but for its events.
    pub(crate) fn entity(&self, bucket: usize, key: &EntityKey) -> Vec<u8> {
        [&self.entities(bucket), &key.0[..]].concat()
    }

    /// The events that are kept of an entity.
    pub(crate) fn events(&self, bucket: usize, key: &EntityKey) -> Vec<u8> {
        [&self.events_of_entities(bucket), &key.0[..]].concat()
    }

    /// What the names of entities begin with.
    pub(crate) fn entities(&self, bucket: usize) -> Vec<u8> {
        self.name(bucket, "e:").into_bytes()
    }

    /// What the names of their events begin with.
    pub(crate) fn events_of_entities(&self, bucket: usize) -> Vec<u8> {
        self.name(bucket, "x:").into_bytes()
    }

    /// What the names of all keys of a bucket, or of the state, match.
    pub(crate) fn pattern(&self, bucket: Option<usize>) -> String {
        let mut pattern = String::new();
        for letter in self.prefix.chars() {
            pattern.extend(r"*?[]\".contains(letter).then_some('\\'));
            pattern.push(letter);
        }
        let bucket = bucket.map_or_else(|| "*".to_owned(), |bucket| bucket.to_string());
        pattern + &format!(":{{{}.{bucket}}}:*", self.state)
    }

    fn name(&self, bucket: usize, rest: &str) -> String {
        format!("{}:{{{}.{bucket}}}:{rest}", self.prefix, self.state)
    }
}

/// The bucket of an entity.
pub(crate) fn bucket(key: &EntityKey) -> usize {
    key.hash()[0] as usize % BUCKETS
}

/// The field of a hash that says which life an entity belongs to.
pub(crate) const LIFE: &[u8] = b"life";

/// How many bytes a stamp has.
pub(crate) const STAMP_BYTES: usize = 24;

/// One life of what a bucket has from a partition: whatever carries another stamp is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) partition: u32,
    /// Different for each life.
    pub(crate) life: u64,
}

impl Stamp {
    pub(crate) fn text(self) -> String {
        format!("{:08x}{:016x}", self.partition, self.life)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() == STAMP_BYTES && text.is_ascii())?;
        let (partition, life) = text.split_at(8);
        let partition = u32::from_str_radix(partition, 16).ok()?;
        Some(Stamp { partition, life: u64::from_str_radix(life, 16).ok()? })
    }
}

/// What the marker of a bucket says of one partition's log.
///
/// ```text
/// stamp (24 characters), offset (20 digits), 0 | 1 (complete), time (20 digits), partitions (10 digits),
/// source (UTF-8), a line feed, then the marker as in `codec`, if one was read so far
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) stamp: Stamp,
    /// The offset of the log of changes up to which they are in.
    pub(crate) next: u64,
    /// Whether what is there is what was committed up to the marker's positions, and nothing else.
    pub(crate) complete: bool,
    /// When it was last known to be all that there was, or else when it was begun, in microseconds since 1970 by the
    /// clock of whoever wrote it.
    pub(crate) current: u64,
    /// How many partitions there are.
    pub(crate) partitions: u32,
    /// What is followed.
    pub(crate) source: String,
    /// The marker of the last transaction that was read; none before the first.
    pub(crate) marker: Option<Marker>,
}

/// Twenty digits, so that texts compare as offsets do.
pub(crate) fn offset(next: u64) -> String {
    format!("{next:020}")
}

impl Held {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (stamp, next, complete) = (self.stamp.text(), offset(self.next), u8::from(self.complete));
        let head = format!("{stamp}{next}{complete}{:020}{:010}{}\n", self.current, self.partitions, self.source);
        let mut out = head.into_bytes();
        if let Some(marker) = &self.marker {
            let mut bytes = Vec::new();
            encode_marker(marker, &mut bytes);
            out.extend_from_slice(&bytes);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let truncated = || Damage::Truncated { what: "the marker of a bucket", bytes: bytes.len() };
        let (head, rest) = bytes.split_at_checked(STAMP_BYTES + 20 + 1 + 20 + 10).ok_or_else(truncated)?;
        let number = |from: usize, to: usize| {
            let digits = std::str::from_utf8(&head[from..to]).ok();
            digits
                .and_then(|digits| digits.parse::<u64>().ok())
                .ok_or(Damage::Number("a part of a bucket's marker"))
        };
        let line = rest.iter().position(|byte| *byte == b'\n').ok_or_else(truncated)?;
        let (source, marker) = (&rest[..line], &rest[line + 1..]);
        Ok(Held {
            stamp: Stamp::parse(&head[..STAMP_BYTES]).ok_or(Damage::Number("a stamp"))?,
            next: number(24, 44)?,
            complete: match head[44] {
                b'0' => false,
                b'1' => true,
                byte => return Err(Damage::Flag { what: "the marker of a bucket", byte }),
            },
            current: number(45, 65)?,
            partitions: u32::try_from(number(65, 75)?)
                .map_err(|_| Damage::Number("how many partitions there are"))?,
            source: std::str::from_utf8(source).map_err(|_| Damage::Utf8("a source"))?.to_owned(),
            marker: if marker.is_empty() { None } else { Some(decode_marker(marker)?) },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use trifold_model::{LogId, Positions};

    use super::*;

    fn held(marker: Option<Marker>) -> Held {
        Held {
            stamp: Stamp { partition: 7, life: u64::MAX },
            next: 12,
            complete: marker.is_some(),
            current: 5,
            partitions: 6,
            source: "cluster/group.view.changes".to_owned(),
            marker,
        }
    }

    #[test]
    fn what_a_bucket_says_round_trips_and_damage_is_an_error() {
        let marker = Marker {
            incarnation: 9,
            log: LogId("cluster/flights".into()),
            source: "event_time".to_owned(),
            positions: Positions(BTreeMap::from([(7, 17)])),
            consumed: Vec::new(),
            release: Some(2),
            arrivals: BTreeMap::new(),
        };
        for held in [held(None), held(Some(marker))] {
            let bytes = held.encode();
            assert_eq!(Held::decode(&bytes), Ok(held.clone()));
            let least = STAMP_BYTES + 20 + 1 + 20 + 10 + held.source.len() + 1;
            for end in 0..bytes.len() {
                // Without a marker it is what was written before one was read.
                assert_eq!(Held::decode(&bytes[..end]).is_ok(), end == least, "{end}");
            }
        }
    }

    #[test]
    fn offsets_compare_as_their_texts() {
        let offsets = [0, 9, 10, 99, 100, u64::MAX];
        assert!(offsets.map(offset).is_sorted());
        assert!(offsets.iter().all(|next| offset(*next).len() == 20));
    }

    #[test]
    fn entities_are_spread_over_all_buckets() {
        let mut found = [0; BUCKETS];
        for number in 0..3_200_u32 {
            found[bucket(&EntityKey(number.to_le_bytes().into()))] += 1;
        }
        assert!(found.iter().all(|count| (50..200).contains(count)), "{found:?}");
    }
}
