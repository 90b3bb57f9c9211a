//! The values of JSON lines, column by column, still as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::raw::{JsonLines, LINE_BYTES_MAX};

/// Stands for the value of a key that stands twice: no JSON text is empty.
pub(crate) const TWICE: &str = "";

/// Some columns of JSON lines.
pub(crate) struct JsonRows<'a> {
    columns: BTreeMap<&'a str, usize>,
    /// By column, then by row; `None` where the row has no such key, [`TWICE`] where it has it twice.
    cells: Vec<Vec<Option<&'a str>>>,
    /// The lines that are no JSON object, ascending; their cells are `None`.
    pub(crate) bad: Vec<(usize, String)>,
}

impl<'a> JsonRows<'a> {
    /// Parses every line and keeps the columns named. Of some, which stand in ascending order, it is known what is wrong
    /// with them.
    pub(crate) fn parse(lines: &'a JsonLines, names: BTreeSet<&'a str>, known: &[(usize, String)]) -> Self {
        let mut known = known.iter().peekable();
        let columns: BTreeMap<_, _> = names.into_iter().enumerate().map(|(index, name)| (name, index)).collect();
        let mut cells = vec![vec![None; lines.len()]; columns.len()];
        let mut slots = vec![None; columns.len()];
        let mut bad = Vec::new();
        for (row, line) in lines.iter().enumerate() {
            slots.fill(None);
            let problem = known.next_if(|(bad, _)| *bad == row).map(|(_, problem)| Err(problem.clone()));
            if let Err(problem) = problem.unwrap_or_else(|| parse_line(line, &columns, &mut slots)) {
                bad.push((row, problem));
                continue;
            }
            for (column, slot) in cells.iter_mut().zip(&slots) {
                column[row] = *slot;
            }
        }
        JsonRows { columns, cells, bad }
    }

    /// The values of a column that was named.
    pub(crate) fn column(&self, name: &str) -> &[Option<&'a str>] {
        self.columns.get(name).map_or(&[], |index| &self.cells[*index])
    }
}

/// A line as text, or what is wrong with it.
pub(crate) fn line_text(line: &[u8]) -> Result<&str, String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("the line is longer than {LINE_BYTES_MAX} bytes"));
    }
    let text = std::str::from_utf8(line)
        .map_err(|error| format!("the line is not UTF-8 from byte {} on", error.valid_up_to()))?;
    if text.trim_ascii().is_empty() {
        return Err("the line is blank".to_owned());
    }
    Ok(text)
}

fn parse_line<'a>(
    line: &'a [u8],
    columns: &BTreeMap<&str, usize>,
    slots: &mut [Option<&'a str>],
) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_str(line_text(line)?);
    let object = Object { columns, slots };
    object
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|error| format!("the line is no JSON object: {error}"))
}

struct Object<'s, 'a> {
    columns: &'s BTreeMap<&'s str, usize>,
    slots: &'s mut [Option<&'a str>],
}

impl<'a> DeserializeSeed<'a> for Object<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(column) = map.next_key_seed(Key(self.columns))? {
            let Some(column) = column else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &RawValue = map.next_value()?;
            let twice = self.slots[column].is_some();
            self.slots[column] = Some(if twice { TWICE } else { value.get() });
        }
        Ok(())
    }
}

/// A key, as the index of the column that it names.
struct Key<'s>(&'s BTreeMap<&'s str, usize>);

impl<'a> DeserializeSeed<'a> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.get(key).copied())
    }
}
