//! From the JSON of a request to the question of gRPC. A view's declaration says what type a value is of.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use tonic::Status;
use trifold_eventlog::decode_json;
use trifold_model::view::{EVENT_ID, EVENT_TIME};
use trifold_model::{FieldType, ItemType};
use trifold_pipeline::LiveViews;

use crate::api::{Column, GetFeaturesRequest, InHandEvents};
use crate::columns;
use crate::request::{AskedView, features, too_many_rows, version};

/// A request over HTTP.
pub(super) struct Asked {
    /// What it asks.
    pub(super) request: GetFeaturesRequest,
    /// Whether integers of 64 bits are answered as texts.
    pub(super) int64_as_text: bool,
}

/// The body of a request. Values stay texts until their types are known, so that no number is rounded on the way.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    #[serde(default)]
    features: Vec<String>,
    #[serde(default, borrow)]
    entities: Named<&'a RawValue>,
    #[serde(default, borrow)]
    as_of_micros: Option<&'a RawValue>,
    #[serde(default)]
    row_digests: bool,
    #[serde(default, borrow)]
    in_hand: Named<Named<&'a RawValue>>,
    #[serde(default)]
    int64_as_text: bool,
}

/// The members of an object, each of which may stand once.
struct Named<T>(BTreeMap<String, T>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if members.contains_key(&name) {
                        return Err(Error::custom(format!("`{name}` stands twice")));
                    }
                    members.insert(name, map.next_value()?);
                }
                Ok(Named(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// Reads a request. The views in force say of which types its columns are.
pub(super) fn parse(body: &[u8], live: &LiveViews, rows_max: usize) -> Result<Asked, Status> {
    let body = read(body)?;
    let views = features(&body.features, live)?;
    let entities = body.entities.0.iter().map(|(name, values)| {
        let ty = entity_type(&views, name).ok_or_else(|| {
            Status::invalid_argument(format!(
                "column `{name}` is no key field and no request field of an asked view; leave it out"
            ))
        })?;
        column("", name, (values, rows_max), ty)
    });
    let request = GetFeaturesRequest {
        entities: entities.collect::<Result<_, _>>()?,
        as_of_micros: body.as_of_micros.map(as_of).transpose()?,
        row_digests: body.row_digests,
        in_hand: body
            .in_hand
            .0
            .iter()
            .map(|(view, held)| in_hand(view, held, live, rows_max))
            .collect::<Result<_, _>>()?,
        features: body.features,
    };
    Ok(Asked { request, int64_as_text: body.int64_as_text })
}

fn read(body: &[u8]) -> Result<Body<'_>, Status> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Status::invalid_argument(format!("the body is not UTF-8 from byte {} on", error.valid_up_to()))
    })?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Status::invalid_argument("the body is no JSON object; /openapi.json describes it"));
    }
    serde_json::from_str(text)
        .map_err(|error| Status::invalid_argument(format!("the body is no request: {error}")))
}

fn as_of(value: &RawValue) -> Result<i64, Status> {
    let column = values("as_of_micros", &[value], FieldType::Int64)?;
    match column.values {
        Some(columns::Values::Int64s(times)) if column.null_rows.is_empty() => Ok(times.values[0]),
        _ => Err(Status::invalid_argument("as_of_micros is no integer")),
    }
}

/// The type of a column that asked views have as a key or request field.
fn entity_type(views: &[AskedView], name: &str) -> Option<FieldType> {
    let views = views.iter().map(|asked| asked.version.view());
    let mut fields = views.flat_map(|view| view.key_fields().iter().chain(view.request_fields()));
    fields.find(|field| field.name == *name).map(|field| field.ty)
}

fn in_hand(
    name: &str,
    held: &Named<&RawValue>,
    live: &LiveViews,
    rows_max: usize,
) -> Result<InHandEvents, Status> {
    let view = version(name, live)?.view();
    let what = format!("events in hand of view {name}: ");
    let columns = held.0.iter().map(|(field, values)| {
        let ty = match field.as_str() {
            EVENT_TIME => Some(FieldType::Timestamp),
            EVENT_ID => Some(FieldType::Utf8),
            _ => view.inputs.iter().find(|input| input.name == *field.as_str()).map(|input| input.ty),
        };
        let ty = ty.ok_or_else(|| {
            Status::invalid_argument(format!("{what}column `{field}` is no field of its events"))
        })?;
        column(&what, field, (values, rows_max), ty)
    });
    Ok(InHandEvents { view: name.to_owned(), columns: columns.collect::<Result<_, _>>()? })
}

fn column(what: &str, name: &str, (given, rows_max): (&RawValue, usize), ty: FieldType) -> Result<Column, Status> {
    let given: Vec<&RawValue> = serde_json::from_str(given.get())
        .map_err(|_| Status::invalid_argument(format!("{what}column `{name}` is no array")))?;
    // Before any value is looked at.
    if given.len() > rows_max {
        return Err(too_many_rows(given.len(), rows_max));
    }
    values(name, &given, ty).map_err(|status| Status::invalid_argument(format!("{what}{}", status.message())))
}

fn values(name: &str, given: &[&RawValue], ty: FieldType) -> Result<Column, Status> {
    let texts: Vec<Cow<'_, str>> = given.iter().map(|value| unquoted(value.get(), ty)).collect();
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    let decoded = decode_json(&texts, ty);
    match decoded.bad.first() {
        Some((row, problem)) => {
            Err(Status::invalid_argument(format!("column `{name}`, row {row}, a value of type {ty}: {problem}")))
        }
        None => Ok(columns::to_message(name, ty, &decoded.array)),
    }
}

/// Takes the quotes from integers that are written as texts.
fn unquoted(json: &str, ty: FieldType) -> Cow<'_, str> {
    match ty {
        FieldType::Int64 | FieldType::Timestamp => Cow::Borrowed(integer(json)),
        FieldType::List(ItemType::Int64) if json.contains('"') => {
            // What is no array is refused as it is.
            let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json) else { return Cow::Borrowed(json) };
            let items: Vec<_> = items.iter().map(|item| integer(item.get())).collect();
            Cow::Owned(format!("[{}]", items.join(",")))
        }
        _ => Cow::Borrowed(json),
    }
}

fn integer(json: &str) -> &str {
    let inner = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    inner.filter(|inner| inner.parse::<i64>().is_ok_and(|value| value.to_string() == *inner)).unwrap_or(json)
}
