//! What the oracle is told: a log, a view and a question.

use std::collections::BTreeMap;

use crate::Value;

/// A decoded event.
#[derive(Debug, Clone)]
pub struct Event {
    /// The values of the entity's key fields, in declared order.
    pub entity: Vec<Value>,
    /// When it happened, in microseconds.
    pub time: i64,
    /// Its id.
    pub id: String,
    /// When it arrived as the log has it, in microseconds; none where the log does not say.
    pub arrival: Option<i64>,
    /// Where it stands.
    pub partition: u32,
    /// Where it stands there.
    pub offset: u64,
    /// Its other values, by name.
    pub fields: BTreeMap<&'static str, Value>,
}

impl Event {
    /// The value of a field.
    ///
    /// # Panics
    ///
    /// If the event has no such field.
    pub fn get(&self, field: &str) -> &Value {
        self.fields.get(field).unwrap_or_else(|| panic!("events have no field {field}"))
    }
}

/// A sliding window, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// How far it reaches back.
    pub length: i64,
    /// The length of its tiles.
    pub hop: i64,
}

/// A window view.
pub struct View {
    /// The windows, in declared order.
    pub windows: Vec<Window>,
    /// How many seconds after it happened an event may arrive.
    pub lateness: Option<i64>,
    /// How many seconds before it happened an event may arrive.
    pub max_early: Option<i64>,
    /// Whether events of one entity, time and id count once.
    pub deduplicate: bool,
    /// Which events the author refuses.
    pub refuses: fn(&Event) -> bool,
    /// What the windows come to.
    pub finish: Finish,
}

/// The events of a tile, in canonical order; there is at least one.
pub type Tile<'a> = Vec<&'a Event>;

/// What a row is computed from.
pub struct Asked<'a> {
    /// For each window its tiles, in ascending time.
    pub windows: Vec<Vec<Tile<'a>>>,
    /// Whose row it is.
    pub entity: &'a [Value],
    /// As of when.
    pub at: i64,
}

/// Computes the values of a row, in the order of the view's outputs.
pub type Finish = Box<dyn Fn(&Asked<'_>) -> Vec<Value> + Send + Sync>;

/// What was known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// All of the log.
    All,
    /// What had arrived by the as-of time.
    Arrival,
    /// What stands before an offset in each partition; of a partition without one, nothing.
    Position(BTreeMap<u32, u64>),
}

/// Whose row is asked for, as of when, and knowing what.
#[derive(Debug, Clone)]
pub struct Question {
    /// The entity.
    pub entity: Vec<Value>,
    /// The as-of time.
    pub at: i64,
    /// Whether events at exactly that time do not count.
    pub before: bool,
    /// What was known.
    pub cut: Cut,
}
