//! From the answer of gRPC to JSON. Every number reads back as the very value.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::api::{self, RowStatus};
use crate::columns::Values;

/// An answer.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    as_of_micros: Vec<Integer>,
    views: Vec<View<'a>>,
}

#[derive(Serialize)]
struct View<'a> {
    view: &'a str,
    version: Integer,
    component_digest: String,
    position: Option<Position<'a>>,
    statuses: Vec<&'static str>,
    problems: Vec<Problem<'a>>,
    columns: Columns<'a>,
    row_digests: Vec<Option<String>>,
    reads: Vec<Read<'a>>,
    canary: Option<Canary<'a>>,
}

#[derive(Serialize)]
struct Problem<'a> {
    row: u32,
    code: Option<u32>,
    message: &'a str,
}

#[derive(Serialize)]
struct Position<'a> {
    log: &'a str,
    incarnation: Integer,
    next_offsets: BTreeMap<u32, Integer>,
    ahead: Vec<Ahead>,
    stale: Vec<Stale>,
}

#[derive(Serialize)]
struct Stale {
    row: u32,
    age_ms: Integer,
}

#[derive(Serialize)]
struct Ahead {
    row: u32,
    partition: u32,
    next_offset: Integer,
}

#[derive(Serialize)]
struct Read<'a> {
    view: &'a str,
    version: Integer,
    component_digest: String,
    position: Option<Position<'a>>,
    canary: Option<Canary<'a>>,
}

#[derive(Serialize)]
struct Canary<'a> {
    version: Integer,
    component_digest: String,
    rows: &'a [u32],
    position: Option<Position<'a>>,
    reads: Vec<Read<'a>>,
}

/// An integer of 64 bits, which some clients can read as a text only.
#[derive(Serialize)]
#[serde(untagged)]
enum Integer {
    Signed(i64),
    Unsigned(u64),
    Text(String),
}

/// How integers of 64 bits are written.
#[derive(Clone, Copy)]
struct Integers {
    as_text: bool,
}

impl Integers {
    fn signed(self, value: i64) -> Integer {
        if self.as_text { Integer::Text(value.to_string()) } else { Integer::Signed(value) }
    }

    fn unsigned(self, value: u64) -> Integer {
        if self.as_text { Integer::Text(value.to_string()) } else { Integer::Unsigned(value) }
    }
}

impl<'a> Answer<'a> {
    /// The answer with its integers of 64 bits as numbers, or as texts.
    pub(super) fn new(answer: &'a api::GetFeaturesResponse, int64_as_text: bool) -> Self {
        let integers = Integers { as_text: int64_as_text };
        Answer {
            as_of_micros: answer.as_of_micros.iter().map(|&time| integers.signed(time)).collect(),
            views: answer.views.iter().map(|view| View::new(view, integers)).collect(),
        }
    }
}

impl<'a> View<'a> {
    fn new(answer: &'a api::ViewAnswer, integers: Integers) -> Self {
        let problem = |problem: &'a api::RowProblem| Problem {
            row: problem.row,
            code: problem.code,
            message: &problem.message,
        };
        let digest = |digest: &Vec<u8>| (!digest.is_empty()).then(|| hex::encode(digest));
        View {
            view: &answer.view,
            version: integers.unsigned(answer.version),
            component_digest: hex::encode(&answer.component_digest),
            position: answer.position.as_ref().map(|it| Position::new(it, integers)),
            statuses: answer.statuses().map(status).collect(),
            problems: answer.problems.iter().map(problem).collect(),
            columns: Columns { columns: &answer.columns, integers },
            row_digests: answer.row_digests.iter().map(digest).collect(),
            reads: reads(&answer.reads, integers),
            canary: answer.canary.as_ref().map(|it| Canary::new(it, integers)),
        }
    }
}

fn status(status: RowStatus) -> &'static str {
    match status {
        RowStatus::Unspecified => "unspecified",
        RowStatus::Value => "value",
        RowStatus::Empty => "empty",
        RowStatus::Expired => "expired",
        RowStatus::Error => "error",
        RowStatus::Unavailable => "unavailable",
    }
}

fn reads(reads: &[api::ViewRead], integers: Integers) -> Vec<Read<'_>> {
    reads.iter().map(|read| Read::new(read, integers)).collect()
}

impl<'a> Read<'a> {
    fn new(read: &'a api::ViewRead, integers: Integers) -> Self {
        Read {
            view: &read.view,
            version: integers.unsigned(read.version),
            component_digest: hex::encode(&read.component_digest),
            position: read.position.as_ref().map(|it| Position::new(it, integers)),
            canary: read.canary.as_ref().map(|it| Canary::new(it, integers)),
        }
    }
}

impl<'a> Canary<'a> {
    fn new(canary: &'a api::CanaryAnswer, integers: Integers) -> Self {
        Canary {
            version: integers.unsigned(canary.version),
            component_digest: hex::encode(&canary.component_digest),
            rows: &canary.rows,
            position: canary.position.as_ref().map(|it| Position::new(it, integers)),
            reads: reads(&canary.reads, integers),
        }
    }
}

impl<'a> Position<'a> {
    fn new(position: &'a api::Position, integers: Integers) -> Self {
        let next = |(&partition, &next): (&u32, &u64)| (partition, integers.unsigned(next));
        let ahead = |row: &api::RowPosition| Ahead {
            row: row.row,
            partition: row.partition,
            next_offset: integers.unsigned(row.next_offset),
        };
        let stale = |row: &api::StaleRow| Stale { row: row.row, age_ms: integers.unsigned(row.age_ms) };
        Position {
            log: &position.log,
            incarnation: integers.unsigned(position.incarnation),
            next_offsets: position.next_offsets.iter().map(next).collect(),
            ahead: position.ahead.iter().map(ahead).collect(),
            stale: position.stale.iter().map(stale).collect(),
        }
    }
}

/// Columns by name, in the order of the answer.
struct Columns<'a> {
    columns: &'a [api::Column],
    integers: Integers,
}

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.columns.len()))?;
        for column in self.columns {
            map.serialize_entry(&column.name, &Column { column, integers: self.integers })?;
        }
        map.end()
    }
}

struct Column<'a> {
    column: &'a api::Column,
    integers: Integers,
}

impl Serialize for Column<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let integer = |&value: &i64| self.integers.signed(value);
        let bytes = |value: &Vec<u8>| STANDARD.encode(value);
        match &self.column.values {
            None => self.rows(serializer, std::iter::empty::<()>()),
            Some(Values::Bools(it)) => self.rows(serializer, it.values.iter()),
            Some(Values::Int64s(it) | Values::Timestamps(it)) => {
                self.rows(serializer, it.values.iter().map(integer))
            }
            Some(Values::Float64s(it)) => self.rows(serializer, it.values.iter().map(|&it| Float64(it))),
            Some(Values::Float32s(it)) => self.rows(serializer, it.values.iter().map(|&it| Float32(it))),
            Some(Values::Texts(it)) => self.rows(serializer, it.values.iter()),
            Some(Values::Binaries(it)) => self.rows(serializer, it.values.iter().map(bytes)),
            Some(Values::Float32Lists(it)) => {
                self.rows(serializer, lists(&it.lengths, &it.items, |&it| Float32(it)))
            }
            Some(Values::Float64Lists(it)) => {
                self.rows(serializer, lists(&it.lengths, &it.items, |&it| Float64(it)))
            }
            Some(Values::Int64Lists(it)) => self.rows(serializer, lists(&it.lengths, &it.items, integer)),
            Some(Values::TextLists(it)) => self.rows(serializer, lists(&it.lengths, &it.items, String::as_str)),
        }
    }
}

impl Column<'_> {
    /// One value for each row, null where the row is.
    fn rows<S: Serializer, T: Serialize>(
        &self,
        serializer: S,
        values: impl Iterator<Item = T>,
    ) -> Result<S::Ok, S::Error> {
        let mut nulls = self.column.null_rows.iter().peekable();
        let mut rows = serializer.serialize_seq(None)?;
        for (row, value) in (0..).zip(values) {
            rows.serialize_element(&nulls.next_if_eq(&&row).is_none().then_some(value))?;
        }
        rows.end()
    }
}

/// The items of each row, of which `lengths` says how many there are.
fn lists<'a, T, U>(lengths: &'a [u32], items: &'a [T], each: impl Fn(&'a T) -> U) -> impl Iterator<Item = Vec<U>> {
    let mut items = items.iter();
    lengths.iter().map(move |&length| items.by_ref().take(length as usize).map(&each).collect())
}

struct Float64(f64);

impl Serialize for Float64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() { serializer.serialize_f64(self.0) } else { serializer.serialize_str(word(self.0)) }
    }
}

struct Float32(f32);

impl Serialize for Float32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wide = f64::from(self.0);
        if wide.is_finite() { serializer.serialize_f32(self.0) } else { serializer.serialize_str(word(wide)) }
    }
}

/// What JSON has no number for.
fn word(value: f64) -> &'static str {
    match value {
        _ if value.is_nan() => "NaN",
        _ if value > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}
