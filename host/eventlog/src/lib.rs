//! Event files: the file log, the conversion of what is in them to a view's inputs, and the files that rows are
//! written to. The stream worker and the backfill both read events through this crate, so that they agree on
//! offsets, on conversions and on which rows are set aside.
//!
//! A log is a directory of segments, `*.parquet` and `*.jsonl`, in the bytewise order of their names; one file
//! is a log of one segment. It has one partition, and the offset of an event is its row number over all
//! segments. What a value of a file becomes as an input of a view is the table in `CONVERSIONS.md`, beside the
//! manifest of this crate.
//!
//! Reading order: [`source`], [`segment`] and [`log`] (what there is to read), [`consumed`] (whether it is still what
//! was read before), [`raw`] (what was read), [`mod@decode`] with [`aside`] and [`arrival`] (what it means to a view),
//! [`mod@route`] (which entity it belongs to), [`archive`] (what a topic had), [`fields`] (single columns, for readers to
//! whom rows are no events), [`rows`] (files of rows, out and in).

pub mod archive;
pub mod arrival;
pub mod aside;
pub mod consumed;
mod convert;
pub mod decode;
mod durable;
pub mod error;
pub mod fields;
mod json_rows;
mod json_text;
mod keys;
pub mod log;
pub mod raw;
pub mod route;
pub mod rows;
pub mod scan;
pub mod segment;
pub mod source;
mod table;
mod text;
mod time;

pub use archive::{Archive, ArchiveError};
pub use arrival::ArrivalClock;
pub use aside::{Aside, AsideReason};
pub use consumed::LogChange;
pub use decode::{Events, decode};
pub use error::LogError;
pub use fields::{DecodedColumn, decode_columns, decode_json};
pub use json_text::JsonObjects;
pub use keys::entity_key;
pub use log::{FileLog, LogOptions};
pub use raw::{APPEND_TIME, Carried, JsonLines, Places, RawBatch, RawRows};
pub use route::{RoutedKey, Routes, route};
pub use rows::{RowFile, RowFileWriter, RowFiles, RowFormat, read_row_files};
pub use scan::{Scan, ScanUnit, UnitReader};
pub use segment::SegmentKind;
pub use source::SourceConfig;
pub use text::{parse_time, row_json, time_text, value_json};
pub use time::YEARS_1_TO_9999;
