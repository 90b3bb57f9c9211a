//! `trifold get`.

mod in_hand;
pub(super) mod keys;

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use trifold_eventlog::{parse_time, time_text, value_json};
use trifold_model::EventTime;
use trifold_pipeline::Outcome as Row;
use trifold_server::client::{Answer, Client, ClientError, Lookup, RowBasis, StatePosition, ViewRows};

use super::fields;
use crate::args::{Get, Server};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::world::World;

/// Looks features up.
pub async fn run(world: &World, args: Get) -> Outcome {
    let as_of = args.as_of.as_deref().map(time).transpose()?;
    let mut client = connect(world, &args.server).await?;
    let views = client.views().await.map_err(client_failure)?;
    let fields = keys::asked_fields(&args.features, &views)?;
    let columns = fields::key_batch(&fields, &args.keys)?;
    let in_hand = in_hand::events(world, &args, &views, &columns)?;
    let lookup = Lookup { features: &args.features, columns: &columns, as_of, in_hand: &in_hand };
    if let Some(ms) = args.deadline_ms {
        client = client.with_deadline(Duration::from_millis(ms));
    }
    let answer = client.look_up(lookup).await.map_err(client_failure)?;
    let looked_up = LookedUp { rows: rows(&args.keys, &answer)? };
    output::print(world.format, &looked_up, text)?;
    let mut views = looked_up.rows.iter().flat_map(|row| &row.views).peekable();
    match views.peek().and_then(|first| first.message.clone()) {
        Some(reason) if views.all(|view| view.status == "unavailable") => {
            Err(Failure::new(Exit::Unavailable, format!("nothing was available: {reason}")))
        }
        _ => Ok(()),
    }
}

/// Connects to the server that flags or configuration name.
pub async fn connect(world: &World, server: &Server) -> Outcome<Client> {
    Client::connect(&server_url(world, server)).await.map_err(client_failure)
}

/// The address of the server that flags or configuration name.
pub fn server_url(world: &World, server: &Server) -> String {
    server.server.clone().unwrap_or_else(|| format!("http://{}", world.config.server.listen))
}

/// The exit code of a lookup that failed.
pub fn client_failure(error: ClientError) -> Failure {
    let exit = match &error {
        ClientError::Url { .. } => Exit::Usage,
        ClientError::Connect { .. } | ClientError::Deadline { .. } => Exit::Unavailable,
        ClientError::Refused(_) if error.is_unknown() => Exit::NotFound,
        ClientError::Refused(_) if error.is_request() => Exit::Usage,
        ClientError::Refused(_) if error.is_damage() => Exit::Data,
        ClientError::Refused(_) => Exit::Unavailable,
        _ => Exit::Data,
    };
    Failure { exit, error: error.into() }
}

/// A time as people write it.
pub fn time(text: &str) -> Outcome<EventTime> {
    parse_time(text).ok_or_else(|| {
        let message =
            format!("`{text}` is no time: write it as in 2013-01-31T18:00:00Z, or in microseconds since 1970");
        Failure::new(Exit::Usage, message)
    })
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct LookedUp {
    rows: Vec<RowReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct RowReport {
    key: String,
    as_of_micros: i64,
    views: Vec<ViewReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ViewReport {
    view: String,
    version: u64,
    digest: String,
    /// Whether the version is tried out on some of the entities.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    canary: bool,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    row_digest: Option<String>,
    #[serde(flatten)]
    position: PositionReport,
    /// What an on-demand view read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reads: Vec<ReadReport>,
    features: Map<String, Value>,
}

/// What a state had included.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct PositionReport {
    log: Option<String>,
    /// The next offset of each partition.
    next_offsets: Map<String, Value>,
    /// How long ago the server had read it, where the store could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ReadReport {
    view: String,
    version: u64,
    digest: String,
    #[serde(flatten)]
    position: PositionReport,
}

impl PositionReport {
    /// Of the record of a row's entity.
    fn new(position: Option<&StatePosition>, row: usize) -> Self {
        let next = position.map(|position| position.of_row(row).0).unwrap_or_default();
        PositionReport {
            log: position.map(|position| position.log.0.to_string()),
            next_offsets: next.into_iter().map(|(partition, next)| (partition.to_string(), next.into())).collect(),
            stale_ms: position.and_then(|position| position.stale.get(&row)).map(|age| age.as_millis() as u64),
        }
    }
}

impl ReadReport {
    fn new(read: &RowBasis<'_>, row: usize) -> Self {
        ReadReport {
            view: read.view.to_owned(),
            version: read.version,
            digest: read.digest.to_string(),
            position: PositionReport::new(read.position, row),
        }
    }
}

fn rows(keys: &[String], answer: &Answer) -> Outcome<Vec<RowReport>> {
    let rows = keys.iter().zip(&answer.as_of).enumerate().map(|(row, (key, as_of))| {
        let views = answer.views.iter().map(|view| view_report(view, row)).collect::<Outcome<_>>()?;
        Ok(RowReport { key: key.clone(), as_of_micros: as_of.0, views })
    });
    rows.collect()
}

fn view_report(view: &ViewRows, row: usize) -> Outcome<ViewReport> {
    let (status, error_code, message) = match &view.rows.outcomes()[row] {
        Row::Known(trifold_model::RowStatus::Error(code)) => ("error", Some(code.0), view.rows.message(row)),
        Row::Known(status) => (status.name(), None, None),
        Row::Unavailable(reason) => ("unavailable", None, Some(reason.as_str())),
    };
    let outputs = view.rows.outputs();
    let schema = outputs.schema();
    let mut features = Map::new();
    for (field, column) in schema.fields().iter().zip(outputs.columns()) {
        features.insert(field.name().clone(), value_json(column, row).or_exit(Exit::Data)?);
    }
    let basis = view.of_row(row);
    Ok(ViewReport {
        view: view.view.clone(),
        version: basis.version,
        digest: basis.digest.to_string(),
        canary: basis.version != view.version,
        status,
        error_code,
        message: message.map(str::to_owned),
        row_digest: view.digests.get(row).copied().flatten().map(|digest| digest.to_string()),
        position: PositionReport::new(basis.position, row),
        reads: basis.reads.iter().map(|read| ReadReport::new(read, row)).collect(),
        features,
    })
}

fn text(looked_up: &LookedUp) -> String {
    let mut text = String::new();
    for row in &looked_up.rows {
        for view in &row.views {
            let code = view.error_code.map_or_else(String::new, |code| format!(" {code}"));
            let message = view.message.as_ref().map_or_else(String::new, |message| format!(": {message}"));
            let (name, version, digest) = (&view.view, view.version, &view.digest[..12]);
            let as_of = time_text(EventTime(row.as_of_micros));
            let canary = if view.canary { " canary" } else { "" };
            let heading = format!("{} as of {as_of}  {name}@{version}{canary} ({digest})", row.key);
            let states = view.reads.iter().map(|read| &read.position).chain([&view.position]);
            let stale = states.filter_map(|state| state.stale_ms).max();
            let stale =
                stale.map_or_else(String::new, |age| format!(" (stale: read {age} ms ago, the store is down)"));
            text.push_str(&format!("{heading}  {}{code}{message}{stale}\n", view.status));
            let features = view.features.iter().map(|(name, value)| vec![format!("  {name}"), value.to_string()]);
            if view.status == "value" {
                text.push_str(&output::table(&features.collect::<Vec<_>>()));
            }
        }
    }
    text
}
