//! The one path: events to state and values, keys and a time to values. The stream worker, the backfill and
//! the online server all call it, and none of them computes a feature itself.
//!
//! Reading order: [`version`] is what runs; [`rows`] is what comes out; [`values`] turns the latest inputs of
//! entities into rows. [`admission`] decides which events count; [`ingest`] folds a batch of them into records;
//! [`lookup`] reads `records`, and folds in what is [`in_hand`]; [`timeline`] and [`point_in_time`] answer points in
//! time over recorded events, and [`explain`] says why one of them is what it is; [`row_table`] puts rows into the
//! columns of files. [`windows`] does the same for window views, and [`on_demand`] computes from all of them when a
//! request is made. [`catalog`] follows the releases, [`candidate`] says what is tried out beside
//! them, [`emitted`] which version computed which of the rows that a stream emitted, [`trial`] what is seen of it, [`takeover`] when one may answer, [`gate`] guards the
//! registry, [`diff`] compares versions, and [`samples`] makes rows for both. [`versions`] finds what a command names in
//! the registry, and [`publish`] takes a component through the gate into it.

pub mod admission;
pub mod candidate;
pub mod catalog;
pub mod diff;
pub mod emitted;
pub mod explain;
pub mod gate;
pub mod in_hand;
pub mod ingest;
pub mod lookup;
pub mod on_demand;
pub mod point_in_time;
pub mod publish;
mod records;
pub mod row_table;
pub mod rows;
pub mod samples;
mod sides;
pub mod size;
pub mod takeover;
pub mod timeline;
pub mod trial;
pub mod values;
pub mod version;
pub mod versions;
pub mod windows;

pub use admission::{ArrivalPolicy, ArrivalPolicyError};
pub use candidate::{Canary, CandidateError, Entities, LiveCandidate, Role, check_candidate};
pub use catalog::{Catalog, CatalogProblem, LiveViews, Waiting};
pub use diff::{DeclarationDiff, DiffError, ValueDiff, compare_declarations, compare_values};
pub use emitted::{Emitted, EmittedBy, FollowError, StateRows, follow};
pub use explain::{Explain, ExplainBounds, ExplainError, Explanation};
pub use gate::{ErrorRows, GateCheck, GateReport, publish_gate};
pub use in_hand::InHand;
pub use ingest::{Changes, Ingest, Ingested, SlotChanges};
pub use lookup::{
    Answer, Basis, CanaryAnswer, Cost, LookupError, Question, Reach, Stopwatch, ViewAnswer, ViewRead, lookup,
};
pub use on_demand::{ReadError, ReadView, reads};
pub use point_in_time::{Answered, PointInTime};
pub use publish::{Accepted, GateRun, Publisher, PushError, Refusal, TriedSample};
pub use row_table::{ReadRows, RowTable, RowTableError, read_rows};
pub use rows::{Outcome, Rows};
pub use samples::synthetic_samples;
pub use takeover::{TakenOver, take_over};
pub use timeline::{Ask, Timeline, TimelineError};
pub use trial::{Comparison, Health, Margins, Tally, judge};
pub use trifold_windows::Parts;
pub use values::{Latest, values};
pub use version::LiveVersion;
pub use versions::{VersionError, Versions};
pub use windows::{WindowFunctions, WindowIngest};
