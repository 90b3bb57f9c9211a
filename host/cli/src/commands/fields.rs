//! The values of key and request fields, as people write them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use trifold_eventlog::parse_time;
use trifold_model::types::UTC;
use trifold_model::view::arrow_schema;
use trifold_model::{Field, FieldType};

use crate::exit::{Exit, Failure, OrExit, Outcome};

/// Parses `field=value` pairs, one text for each row.
pub(super) fn key_batch(fields: &[Field], keys: &[String]) -> Outcome<RecordBatch> {
    let rows = keys.iter().map(|key| key_row(fields, key)).collect::<Outcome<Vec<_>>>()?;
    row_batch(fields, &rows)
}

/// Rows of the values of all fields, in their order.
pub(super) fn row_batch(fields: &[Field], rows: &[Vec<Option<String>>]) -> Outcome<RecordBatch> {
    let columns = fields
        .iter()
        .enumerate()
        .map(|(column, field)| key_column(field, rows.iter().map(|row| row[column].as_deref())))
        .collect::<Outcome<Vec<_>>>()?;
    RecordBatch::try_new(arrow_schema(fields), columns).or_exit(Exit::Internal)
}

/// One row of the values of all fields, in their order.
pub(super) fn value_batch(fields: &[Field], values: &[String]) -> Outcome<RecordBatch> {
    let columns =
        fields.iter().zip(values).map(|(field, value)| key_column(field, [Some(value.as_str())].into_iter()));
    let columns = columns.collect::<Outcome<Vec<_>>>()?;
    RecordBatch::try_new(arrow_schema(fields), columns).or_exit(Exit::Internal)
}

/// One key: `field=value,...`, or a JSON object where a value holds a comma. A field that may be null may be left out.
fn key_row(fields: &[Field], key: &str) -> Outcome<Vec<Option<String>>> {
    let names = fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut values = vec![None; fields.len()];
    let mut put = |name: &str, value: Option<&str>| {
        let Some((place, value)) = fields.iter().position(|field| field.name == *name).zip(value) else {
            let pair = value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}"));
            let first = fields.first().map_or("field", |field| field.name.as_str());
            let message = format!("`{pair}` names no key field: the key fields are {names}, as in `{first}=...`");
            return Err(Failure::new(Exit::Usage, message));
        };
        match values[place].replace(value.to_owned()) {
            None => Ok(()),
            Some(_) => Err(Failure::new(Exit::Usage, format!("`{key}` gives {name} twice"))),
        }
    };
    if key.starts_with('{') {
        let object: BTreeMap<String, String> = serde_json::from_str(key)
            .map_err(|error| Failure::new(Exit::Usage, format!("`{key}` is no JSON object of texts: {error}")))?;
        object.iter().try_for_each(|(name, value)| put(name, Some(value)))?;
    } else {
        let pairs =
            key.split(',').map(|pair| pair.split_once('=').map_or((pair, None), |(name, it)| (name, Some(it))));
        pairs.into_iter().try_for_each(|(name, value)| put(name, value))?;
    }
    match fields.iter().zip(&values).any(|(field, value)| value.is_none() && !field.nullable) {
        true => Err(Failure::new(Exit::Usage, format!("`{key}` is not a whole key: it takes {names}"))),
        false => Ok(values),
    }
}

fn key_column<'a>(field: &Field, values: impl Iterator<Item = Option<&'a str>>) -> Outcome<ArrayRef> {
    let wrong = |value: &str| {
        let Field { name, ty, .. } = field;
        Failure::new(Exit::Usage, format!("key field {name} is of type {ty}, which `{value}` is not"))
    };
    fn parse<'a, T, E>(
        values: impl Iterator<Item = Option<&'a str>>,
        parse: impl Fn(&str) -> Result<T, E>,
        wrong: impl Fn(&str) -> Failure,
    ) -> Outcome<Vec<Option<T>>> {
        values.map(|value| value.map(|value| parse(value).map_err(|_| wrong(value))).transpose()).collect()
    }
    Ok(match field.ty {
        FieldType::Utf8 => Arc::new(values.collect::<StringArray>()),
        FieldType::Int64 => Arc::new(Int64Array::from(parse(values, str::parse::<i64>, wrong)?)),
        FieldType::Float64 => Arc::new(Float64Array::from(parse(values, str::parse::<f64>, wrong)?)),
        FieldType::Float32 => Arc::new(Float32Array::from(parse(values, str::parse::<f32>, wrong)?)),
        FieldType::Bool => Arc::new(BooleanArray::from(parse(values, str::parse::<bool>, wrong)?)),
        FieldType::Binary => Arc::new(BinaryArray::from_iter(parse(values, |value| hex::decode(value), wrong)?)),
        FieldType::Timestamp => {
            let times = parse(values, |value| parse_time(value).map(|time| time.0).ok_or(()), wrong)?;
            Arc::new(TimestampMicrosecondArray::from(times).with_timezone(UTC))
        }
        FieldType::List(_) => {
            let Field { name, ty, .. } = field;
            let message = format!("field {name} is of type {ty}, which the command line cannot say: use a client");
            return Err(Failure::new(Exit::Usage, message));
        }
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
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
    fn what_may_be_null_may_be_left_out() {
        let mut fields = fields();
        let amount =
            Field { name: "amount".parse().unwrap(), ty: FieldType::Float64, nullable: true, ..fields[0].clone() };
        fields.push(amount);
        let keys =
            ["member=true,token=,since=0", r#"{"since": "0", "member": "false", "token": "", "amount": "-1e3"}"#];
        let batch = key_batch(&fields, &keys.map(str::to_owned)).unwrap();
        let amounts = batch.column(3).as_primitive::<arrow_array::types::Float64Type>();
        assert_eq!((amounts.is_null(0), amounts.value(1)), (true, -1000.0));
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
