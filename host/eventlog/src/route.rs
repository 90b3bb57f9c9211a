//! Which entity an event belongs to, before any view has a say.

use std::collections::BTreeSet;

use arrow_array::{Array, ArrayRef};
use trifold_model::{ArrivalTime, CanonicalRows, EntityKey, Field};

use crate::arrival::{self, ArrivalClock};
use crate::keys::entity_key;
use crate::table::Table;
use crate::{LogError, RawBatch, SourceConfig};

/// Where the rows of a batch belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    /// The entity of each row; `None` where it cannot be read, so that the row is set aside wherever it goes.
    pub entities: Vec<Option<RoutedKey>>,
    /// The arrival of each row, where the source records arrivals; `None` where it cannot be read.
    pub arrivals: Vec<Option<ArrivalTime>>,
}

/// An entity that is routed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedKey {
    /// Its key.
    pub key: EntityKey,
    /// The key as that of a record: see [`entity_key`].
    pub text: Vec<u8>,
}

/// Reads the entity and the arrival of each row, by the conversions by which [`decode`](crate::decode) reads them.
pub fn route(
    raw: &RawBatch,
    source: &SourceConfig,
    entity: &[Field],
    clock: &mut ArrivalClock,
) -> Result<Routes, LogError> {
    let columns = || entity.iter().map(|field| source.column(field.name.as_str()));
    let names: BTreeSet<&str> = columns().chain(source.arrival.as_deref()).collect();
    let table = Table::new(raw, names);
    let read = |(field, column): (&Field, _)| table.column(column, field.ty, &format!("entity {}", field.name));
    let converted = entity.iter().zip(columns()).map(read).collect::<Result<Vec<_>, _>>()?;
    let arrays: Vec<ArrayRef> = converted.iter().map(|column| column.array.clone()).collect();
    let fields: Vec<_> = arrays.iter().collect();
    let keys = CanonicalRows::of_arrays(&arrays).map_err(|foreign| LogError::Column {
        file: raw.file.to_path_buf(),
        column: foreign.column.clone(),
        source: arrow_schema::ArrowError::SchemaError(foreign.to_string()),
    })?;
    let mut scratch = Vec::new();
    let mut entity_of = |row: usize| {
        let is_there = arrays.iter().all(|array| array.is_valid(row));
        is_there.then(|| RoutedKey { key: keys.key(row, &mut scratch), text: entity_key(&fields, row) })
    };
    let entities = (0..raw.rows()).map(&mut entity_of).collect();
    let arrivals = match &source.arrival {
        None => vec![None; raw.rows()],
        Some(column) => {
            let recorded = arrival::recorded(&table, column)?;
            arrival::readable(&recorded).map(|at| at.map(|at| clock.advance(at))).collect()
        }
    };
    Ok(Routes { entities, arrivals })
}
