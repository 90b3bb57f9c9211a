//! Values, encoded and decoded.

use std::fs;
use std::path::Path;

use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message;
use trifold_eventlog::{ArrivalClock, RawBatch, RawRows, SourceConfig, decode};
use trifold_formats::{Decoder, Encoding, SchemaSource};
use trifold_model::{FeatureView, Field, FieldType, RowLimits, ViewKind, ViewSpec};

/// What one value became.
pub(crate) type Outcome = Result<String, String>;

/// Events of Avro with a field `x` of some type.
pub(crate) struct Avro {
    ty: apache_avro::Schema,
    decoder: Decoder,
}

impl Avro {
    /// The schema of an event whose `x` has a type, given as JSON.
    pub(crate) fn schema(ty: &str) -> String {
        format!(
            r#"{{"type":"record","name":"Event","fields":[{{"name":"k","type":"string"}},
            {{"name":"event_time","type":{{"type":"long","logicalType":"timestamp-micros"}}}},
            {{"name":"event_id","type":"string"}},{{"name":"x","type":{ty}}}]}}"#
        )
    }

    pub(crate) fn new(ty: &str) -> Avro {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("event.avsc");
        fs::write(&path, Avro::schema(ty)).unwrap();
        let encoding = Encoding::Avro { schema: SchemaSource::File(path), reader: None };
        Avro { ty: apache_avro::Schema::parse_str(ty).unwrap(), decoder: Decoder::new(encoding).unwrap() }
    }

    /// An event with a value of `x`.
    pub(crate) fn event(&self, x: &Value) -> Vec<u8> {
        let mut bytes = vec![2, b'k', 0, 2, b'e'];
        let writer = GenericDatumWriter::builder(&self.ty).build().unwrap();
        writer.write_value_ref(&mut bytes, x).unwrap();
        bytes
    }

    /// The text of an event with these bytes of `x`.
    pub(crate) fn text_of(&mut self, event: &[u8]) -> String {
        text(&mut self.decoder, event).unwrap()
    }

    pub(crate) fn text(&mut self, x: &Value) -> String {
        let event = self.event(x);
        self.text_of(&event)
    }
}

/// Events of Protobuf with a field `x`.
pub(crate) struct Proto {
    message: prost_reflect::MessageDescriptor,
    decoder: Decoder,
}

impl Proto {
    /// `x` is the declaration of the field, with the number 4, and whatever it needs stands in `more`.
    pub(crate) fn new(x: &str, more: &str) -> Proto {
        let text = format!(
            "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; \
             import \"google/protobuf/wrappers.proto\"; {more} message Event {{ string k = 1; \
             google.protobuf.Timestamp event_time = 2; string event_id = 3; {x} = 4; }}"
        );
        Proto::from_text(&text, "Event")
    }

    pub(crate) fn from_text(text: &str, message: &str) -> Proto {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("event.proto");
        fs::write(&path, text).unwrap();
        let set = protox::compile(["event.proto"], [dir.path()]).unwrap();
        let pool = prost_reflect::DescriptorPool::from_file_descriptor_set(set).unwrap();
        let encoding = Encoding::Protobuf { schema: SchemaSource::File(path), message: Some(message.to_owned()) };
        Proto { message: pool.get_message_by_name(message).unwrap(), decoder: Decoder::new(encoding).unwrap() }
    }

    pub(crate) fn kind(&self) -> prost_reflect::Kind {
        self.message.get_field_by_name("x").unwrap().kind()
    }

    /// An event with these bytes behind its key and its id.
    pub(crate) fn text_of(&mut self, x: &[u8]) -> String {
        let begin = [0x0a, 1, b'k', 0x12, 0, 0x1a, 1, b'e'];
        text(&mut self.decoder, &[&begin, x].concat()).unwrap()
    }

    /// An event with a value of `x`, or without any.
    pub(crate) fn text(&mut self, x: Option<prost_reflect::Value>) -> String {
        let mut event = DynamicMessage::new(self.message.clone());
        event.set_field_by_name("k", prost_reflect::Value::String("k".to_owned()));
        event.set_field_by_name("event_id", prost_reflect::Value::String("e".to_owned()));
        let time = self.message.get_field_by_name("event_time").unwrap().kind();
        event.set_field_by_name("event_time", prost_reflect::Value::Message(message(&time, &[])));
        if let Some(x) = x {
            event.set_field_by_name("x", x);
        }
        text(&mut self.decoder, &event.encode_to_vec()).unwrap()
    }
}

/// A message of a field's type with some fields.
pub(crate) fn message(kind: &prost_reflect::Kind, fields: &[(u32, prost_reflect::Value)]) -> DynamicMessage {
    let mut message = DynamicMessage::new(kind.as_message().unwrap().clone());
    for (number, value) in fields {
        message.set_field_by_number(*number, value.clone());
    }
    message
}

/// The text of one value, or the message of the error.
pub(crate) fn text(decoder: &mut Decoder, value: &[u8]) -> Outcome {
    let mut out = b"before".to_vec();
    let outcome = decoder.decode(value, &mut out);
    let text = String::from_utf8(out).unwrap();
    let text = text.strip_prefix("before").unwrap();
    match outcome {
        Ok(()) => {
            assert!(!text.contains('\n'), "{text}");
            serde_json::from_str::<serde_json::Map<_, _>>(text).unwrap();
            Ok(text.to_owned())
        }
        Err(error) => {
            assert_eq!(text, "", "an error leaves nothing");
            Err(error.to_string())
        }
    }
}

/// What the field `x` of events becomes as an input of a view.
pub(crate) fn inputs(lines: &[String], ty: FieldType) -> Vec<Outcome> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let raw = RawBatch {
        partition: 0,
        first_offset: 0,
        places: None,
        file: Path::new("topic").into(),
        rows: RawRows::Lines(text.as_str().into()),
    };
    let events = decode(&raw, &SourceConfig::default(), &view(ty), &mut ArrivalClock::default()).unwrap();
    assert_eq!(events.offsets.len() + events.aside.len(), lines.len());
    let mut outcomes = vec![Err(String::new()); lines.len()];
    for (row, offset) in events.offsets.iter().enumerate() {
        outcomes[*offset as usize] = Ok(shown(events.inputs.column_by_name("x").unwrap(), row));
    }
    for aside in events.aside {
        outcomes[aside.offset as usize] = Err(format!("{}: {}", aside.reason, aside.detail));
    }
    outcomes
}

fn view(ty: FieldType) -> FeatureView {
    let field = |name: &str, ty, nullable| Field { name: name.parse().unwrap(), ty, nullable, doc: String::new() };
    FeatureView::new(ViewSpec {
        name: "v".parse().unwrap(),
        kind: ViewKind::Row,
        doc: String::new(),
        entity: vec!["k".parse().unwrap()],
        inputs: vec![field("k", FieldType::Utf8, false), field("x", ty, true)],
        outputs: vec![field("out", FieldType::Int64, true)],
        ttl: None,
        lateness: None,
        max_early: None,
        state_version: 1,
        limits: RowLimits::default(),
    })
    .unwrap()
}

/// A value of a contract type as text that tells every two values apart.
fn shown(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "null".to_owned();
    }
    match array.data_type() {
        DataType::Float64 => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => format!("{:?}", array.as_primitive::<Float32Type>().value(row)),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Timestamp(..) => array.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Utf8 => format!("{:?}", array.as_string::<i32>().value(row)),
        DataType::Binary => format!("{:02x?}", array.as_binary::<i32>().value(row)),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let shown: Vec<_> = (0..items.len()).map(|item| shown(&items, item)).collect();
            format!("[{}]", shown.join(", "))
        }
        other => panic!("{other} is no contract type"),
    }
}

/// Checks what values become; `!` begins a part of what is wrong with one.
#[track_caller]
pub(crate) fn check(lines: &[String], ty: FieldType, expected: &[&str]) {
    let outcomes = inputs(lines, ty);
    assert_eq!(outcomes.len(), expected.len());
    for ((outcome, expected), line) in outcomes.iter().zip(expected).zip(lines) {
        match (outcome, expected.strip_prefix('!')) {
            (Ok(value), None) => assert_eq!(value, expected, "{line} to {ty}"),
            (Err(detail), Some(part)) => {
                assert!(detail.starts_with("decode: ") && detail.contains(part), "{line}: {detail}, not {part}");
            }
            _ => panic!("{line} to {ty}: {outcome:?}, not {expected}"),
        }
    }
}
