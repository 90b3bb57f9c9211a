//! `trifold get`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use serde::Serialize;
use serde_json::{Map, Value};
use trifold_eventlog::{parse_time, time_text, value_json};
use trifold_model::types::UTC;
use trifold_model::view::arrow_schema;
use trifold_model::{EventTime, Field, FieldType};
use trifold_pipeline::Outcome as Row;
use trifold_server::api::View;
use trifold_server::client::{Answer, Client, ClientError, ViewRows, key_fields};

use crate::args::{Get, Server};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::world::World;

/// Looks features up.
pub async fn run(world: &World, args: Get) -> Outcome {
    let as_of = args.as_of.as_deref().map(time).transpose()?;
    let mut client = connect(world, &args.server).await?;
    let views = client.views().await.map_err(client_failure)?;
    let fields = asked_keys(&args.features, &views)?;
    let keys = key_batch(&fields, &args.keys)?;
    let answer = client.get(&args.features, &keys, as_of).await.map_err(client_failure)?;
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
    let url = server.server.clone().unwrap_or_else(|| format!("http://{}", world.config.server.listen));
    Client::connect(&url).await.map_err(client_failure)
}

/// The exit code of a lookup that failed.
pub fn client_failure(error: ClientError) -> Failure {
    let exit = match &error {
        ClientError::Url { .. } => Exit::Usage,
        ClientError::Connect { .. } => Exit::Unavailable,
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

/// The key fields of all views that are asked, each once.
fn asked_keys(features: &[String], views: &[View]) -> Outcome<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    for feature in features {
        let name = feature.split('.').next().unwrap_or_default();
        if let Some((_, version)) = name.split_once('@') {
            let message = format!("`{feature}`: lookups take the version in force, so leave out `@{version}`");
            return Err(Failure::new(Exit::Usage, message));
        }
        let Some(view) = views.iter().find(|view| view.name == name) else {
            let known = views.iter().map(|view| view.name.as_str()).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            return Err(Failure::new(
                Exit::NotFound,
                format!("no view `{name}` is in force; views in force: {known}"),
            ));
        };
        let keys = key_fields(view).ok_or_else(|| {
            Failure::new(Exit::Data, format!("view {name} has key fields of types that this client does not know"))
        })?;
        for key in keys {
            if !fields.iter().any(|field| field.name == key.name) {
                fields.push(key);
            }
        }
    }
    Ok(fields)
}

/// Parses `field=value` pairs, one text for each row.
fn key_batch(fields: &[Field], keys: &[String]) -> Outcome<RecordBatch> {
    let rows = keys.iter().map(|key| key_row(fields, key)).collect::<Outcome<Vec<_>>>()?;
    let columns = fields
        .iter()
        .enumerate()
        .map(|(column, field)| key_column(field, rows.iter().map(|row| row[column].as_str())))
        .collect::<Outcome<Vec<_>>>()?;
    RecordBatch::try_new(arrow_schema(fields), columns).or_exit(Exit::Internal)
}

/// One key: `field=value,...`, or a JSON object where a value holds a comma.
fn key_row(fields: &[Field], key: &str) -> Outcome<Vec<String>> {
    let names = fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut values = vec![None; fields.len()];
    if key.starts_with('{') {
        let object: BTreeMap<String, String> = serde_json::from_str(key)
            .map_err(|error| Failure::new(Exit::Usage, format!("`{key}` is no JSON object of texts: {error}")))?;
        for (value, field) in values.iter_mut().zip(fields) {
            *value = object.get(field.name.as_str()).cloned();
        }
        let all: Option<Vec<_>> = values.into_iter().collect();
        return all
            .filter(|_| object.len() == fields.len())
            .ok_or_else(|| Failure::new(Exit::Usage, format!("`{key}` is not a whole key: it takes {names}")));
    }
    for pair in key.split(',') {
        let place = pair.split_once('=').and_then(|(name, value)| {
            fields.iter().position(|field| field.name == *name).map(|place| (place, value))
        });
        let Some((place, value)) = place else {
            let message =
                format!("`{pair}` names no key field: the key fields are {names}, as in `{}=...`", fields[0].name);
            return Err(Failure::new(Exit::Usage, message));
        };
        if values[place].replace(value.to_owned()).is_some() {
            return Err(Failure::new(Exit::Usage, format!("`{key}` gives {} twice", fields[place].name)));
        }
    }
    let all: Option<Vec<_>> = values.into_iter().collect();
    all.ok_or_else(|| Failure::new(Exit::Usage, format!("`{key}` is not a whole key: it takes {names}")))
}

fn key_column<'a>(field: &Field, values: impl Iterator<Item = &'a str>) -> Outcome<ArrayRef> {
    let wrong = |value: &str| {
        Failure::new(
            Exit::Usage,
            format!("key field {} is of type {}, which `{value}` is not", field.name, field.ty),
        )
    };
    fn parse<'a, T, E>(
        values: impl Iterator<Item = &'a str>,
        parse: impl Fn(&str) -> Result<T, E>,
        wrong: impl Fn(&str) -> Failure,
    ) -> Outcome<Vec<T>> {
        values.map(|value| parse(value).map_err(|_| wrong(value))).collect()
    }
    Ok(match field.ty {
        FieldType::Utf8 => Arc::new(StringArray::from_iter_values(values)),
        FieldType::Int64 => Arc::new(Int64Array::from(parse(values, str::parse::<i64>, wrong)?)),
        FieldType::Bool => Arc::new(BooleanArray::from(parse(values, str::parse::<bool>, wrong)?)),
        FieldType::Binary => {
            Arc::new(BinaryArray::from_iter_values(parse(values, |value| hex::decode(value), wrong)?))
        }
        FieldType::Timestamp => {
            let times = parse(values, |value| parse_time(value).map(|time| time.0).ok_or(()), wrong)?;
            Arc::new(TimestampMicrosecondArray::from(times).with_timezone(UTC))
        }
        _ => return Err(Failure::new(Exit::Data, format!("key field {} has type {}", field.name, field.ty))),
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
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    row_digest: Option<String>,
    log: Option<String>,
    /// The next offset of each partition that the state had included.
    next_offsets: Map<String, Value>,
    features: Map<String, Value>,
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
    let position = view.position.as_ref();
    let next =
        position.map(|(_, next)| next.0.iter().map(|(partition, next)| (partition.to_string(), (*next).into())));
    Ok(ViewReport {
        view: view.view.clone(),
        version: view.version,
        digest: view.digest.to_string(),
        status,
        error_code,
        message: message.map(str::to_owned),
        row_digest: view.digests.get(row).copied().flatten().map(|digest| digest.to_string()),
        log: position.map(|(log, _)| log.0.to_string()),
        next_offsets: next.map(Iterator::collect).unwrap_or_default(),
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
            let heading = format!("{} as of {as_of}  {name}@{version} ({digest})", row.key);
            text.push_str(&format!("{heading}  {}{code}{message}\n", view.status));
            let features = view.features.iter().map(|(name, value)| vec![format!("  {name}"), value.to_string()]);
            if view.status == "value" {
                text.push_str(&output::table(&features.collect::<Vec<_>>()));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::TimestampMicrosecondType;

    use super::*;

    fn fields() -> Vec<Field> {
        let field =
            |name: &str, ty| Field { name: name.parse().unwrap(), ty, nullable: false, doc: String::new() };
        vec![
            field("member", FieldType::Bool),
            field("token", FieldType::Binary),
            field("since", FieldType::Timestamp),
        ]
    }

    fn batch(keys: &[&str]) -> Outcome<RecordBatch> {
        key_batch(&fields(), &keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn keys_of_bools_bytes_and_times_are_parsed() {
        let object = r#"{"since": "-1", "member": "false", "token": ""}"#;
        let batch = batch(&["token=00fF,member=true,since=1970-01-01T00:00:01Z", object]).unwrap();
        let members = batch.column(0).as_boolean();
        assert_eq!([members.value(0), members.value(1)], [true, false]);
        let tokens = batch.column(1).as_binary::<i32>();
        assert_eq!([tokens.value(0), tokens.value(1)], [&[0, 255][..], &[]]);
        let since = batch.column(2).as_primitive::<TimestampMicrosecondType>();
        assert_eq!(since.values()[..], [1_000_000, -1]);
    }

    #[test]
    fn values_of_another_type_are_named() {
        for (key, problem) in [
            ("member=1,token=00,since=0", "key field member is of type bool, which `1` is not"),
            ("member=true,token=0,since=0", "key field token is of type binary, which `0` is not"),
            ("member=true,token=xy,since=0", "key field token is of type binary, which `xy` is not"),
            ("member=true,token=00,since=noon", "key field since is of type timestamp, which `noon` is not"),
            ("member=true,token=00", "is not a whole key: it takes member, token, since"),
        ] {
            let failure = batch(&[key]).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{key}");
            assert!(failure.error.to_string().contains(problem), "{key}: {}", failure.error);
        }
    }
}
