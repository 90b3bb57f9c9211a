//! The keys that a load asks for: from templates, made as they are asked, or from a file, held in memory.

mod csv;
mod template;

use std::path::Path;

use arrow_array::{Array, RecordBatch, UInt64Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use trifold_eventlog::{FileLog, LogOptions, RawBatch, SegmentKind, decode_columns};
use trifold_model::Field;
use trifold_model::view::arrow_schema;

use self::template::Template;
use crate::args::Loadtest;
use crate::commands::fields::{key_batch, row_batch};
use crate::commands::stream::log_failure;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::world::read_file;

/// Rows of a file decoded at a time.
const FILE_ROWS: usize = 8192;

/// The keys that are asked for.
pub(super) struct Keys {
    fields: Vec<Field>,
    pool: Pool,
    /// How many there are.
    pub(super) count: u64,
}

enum Pool {
    Templates(Vec<Template>),
    Table(RecordBatch),
}

impl Keys {
    /// The keys of the command line, of fields that the server named.
    pub(super) fn new(args: &Loadtest, fields: Vec<Field>) -> Outcome<Self> {
        match &args.file {
            Some(path) => Keys::of_file(path, fields),
            None => Keys::of_templates(&args.keys, fields),
        }
    }

    fn of_templates(texts: &[String], fields: Vec<Field>) -> Outcome<Self> {
        let templates = texts.iter().map(|text| Template::parse(text)).collect::<Outcome<Vec<_>>>()?;
        // A template whose first and last key are keys has no others between them.
        for template in &templates {
            key_batch(&fields, &[template.key(0), template.key(template.count() - 1)])?;
        }
        let count = templates.iter().try_fold(0_u64, |count, template| count.checked_add(template.count()));
        let count = count.ok_or_else(|| Failure::new(Exit::Usage, "the templates stand for too many keys"))?;
        Ok(Keys { fields, pool: Pool::Templates(templates), count })
    }

    fn of_file(path: &Path, fields: Vec<Field>) -> Outcome<Self> {
        let table = match (SegmentKind::of(path), path.extension().and_then(|kind| kind.to_str())) {
            (Some(_), _) => columns(path, &fields)?,
            (None, Some("csv")) => {
                let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
                let rows = csv::rows(&text(path)?, &names).map_err(|problem| malformed(path, problem))?;
                check_nulls(path, &fields, &rows)?;
                row_batch(&fields, &rows).map_err(|failure| malformed(path, failure.error))?
            }
            (None, _) => {
                let text = text(path)?;
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                let lines: Vec<_> = lines.map(str::to_owned).collect();
                key_batch(&fields, &lines).map_err(|failure| malformed(path, failure.error))?
            }
        };
        let count = table.num_rows() as u64;
        if count == 0 {
            return Err(malformed(path, "it has no keys"));
        }
        Ok(Keys { fields, pool: Pool::Table(table), count })
    }

    /// The keys in these places, as the columns of a request.
    pub(super) fn rows(&self, places: &[u64]) -> Outcome<RecordBatch> {
        match &self.pool {
            Pool::Table(table) => take_record_batch(table, &UInt64Array::from_iter_values(places.iter().copied()))
                .or_exit(Exit::Internal),
            Pool::Templates(templates) => {
                let keys: Vec<_> = places.iter().map(|place| key(templates, *place)).collect();
                key_batch(&self.fields, &keys)
            }
        }
    }
}

/// The key in a place of all templates together.
fn key(templates: &[Template], mut place: u64) -> String {
    for template in templates {
        if place < template.count() {
            return template.key(place);
        }
        place -= template.count();
    }
    String::new()
}

fn malformed(path: &Path, problem: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Data, format!("the keys of {}: {problem}", path.display()))
}

fn text(path: &Path) -> Outcome<String> {
    String::from_utf8(read_file(path)?).map_err(|error| malformed(path, format!("it is no UTF-8: {error}")))
}

/// Refuses rows without a value of a field that has one always.
fn check_nulls(path: &Path, fields: &[Field], rows: &[Vec<Option<String>>]) -> Outcome {
    let missing = |(number, row): (usize, &Vec<Option<String>>)| {
        let field = fields.iter().zip(row).find(|(field, value)| value.is_none() && !field.nullable)?.0;
        Some((number, field.name.clone()))
    };
    match rows.iter().enumerate().find_map(missing) {
        Some((number, field)) => Err(malformed(path, format!("key {} has no {field}", number + 1))),
        None => Ok(()),
    }
}

/// The columns of a row file that bear the fields' names.
fn columns(path: &Path, fields: &[Field]) -> Outcome<RecordBatch> {
    let mut log = FileLog::open(path, LogOptions::default()).map_err(log_failure)?;
    let mut batches = Vec::new();
    for unit in log.units().map_err(log_failure)? {
        for raw in unit.read(None, FILE_ROWS).map_err(log_failure)? {
            batches.push(decoded(path, &raw.map_err(log_failure)?, fields)?);
        }
    }
    concat_batches(&arrow_schema(fields), &batches).or_exit(Exit::Internal)
}

fn decoded(path: &Path, raw: &RawBatch, fields: &[Field]) -> Outcome<RecordBatch> {
    let wanted: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.ty)).collect();
    let mut columns = Vec::new();
    for (field, decoded) in fields.iter().zip(decode_columns(raw, &wanted).map_err(log_failure)?) {
        let place = |row: usize| raw.first_offset + row as u64;
        if let Some((row, problem)) = decoded.bad.first() {
            return Err(malformed(path, format!("row {}: {problem}", place(*row))));
        }
        if let Some(row) = (0..decoded.array.len()).find(|row| decoded.array.is_null(*row) && !field.nullable) {
            return Err(malformed(path, format!("row {}: it has no {}", place(row), field.name)));
        }
        columns.push(decoded.array);
    }
    RecordBatch::try_new(arrow_schema(fields), columns).or_exit(Exit::Internal)
}
