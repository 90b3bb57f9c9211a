//! What every part of Trifold speaks of: feature views and their fields, entity keys, event and arrival
//! times, positions, cuts, and the canonical bytes of a row.
//!
//! Nothing here does I/O, reads a clock or serialises itself; the crates that store or send these types
//! convert them at their own edge.
//!
//! Reading order: [`types`] and [`name`], [`view`], [`window`] and [`on_demand`], [`time`] and [`calendar`], [`position`],
//! [`canonical`], [`identity`], [`share`], [`tool`] and [`fuel`].

pub mod calendar;
pub mod canonical;
pub mod decode;
pub mod difference;
pub mod fuel;
pub mod identity;
pub mod name;
pub mod on_demand;
pub mod position;
pub mod share;
pub mod status;
pub mod time;
pub mod tool;
pub mod types;
pub mod view;
pub mod window;

pub use canonical::{CanonicalRows, canonical_nans};
pub use decode::{DecodeError, decode_keys, decode_rows, decode_rows_as};
pub use difference::{Difference, first_difference};
pub use fuel::FuelSummary;
pub use identity::{ComponentDigest, ComputationId, EntityKey, RowDigest, StateId};
pub use name::{FieldName, NameError, ViewName};
pub use on_demand::{FeatureRef, OnDemandSpec};
pub use position::{Cut, EventNumber, LogId, Position, Positions};
pub use share::{NoShare, Salt, Share};
pub use status::{ErrorCode, RowStatus};
pub use time::{ArrivalTime, EventTime, Span};
pub use tool::{Tool, ToolRole};
pub use types::{FieldType, ItemType, TypeError};
pub use view::{FeatureView, Field, RowLimits, ViewError, ViewKind, ViewSpec};
pub use window::{FoldOrder, Slot, Window, WindowSpec};
