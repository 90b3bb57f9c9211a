//! Random schemas of Avro and random values of them: what the library writes is read as it is, whole or in parts.

use std::fs;

use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::{Value as Json, json};
use trifold_formats::{Decoder, Encoding, SchemaSource};

use crate::fixtures::text;

/// The splitmix64 sequence of a seed.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Numbers of all sizes.
    fn bits(&mut self) -> u64 {
        let shift = self.below(64);
        self.next() >> shift
    }
}

enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(u64, usize),
    Enum(u64),
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    Record(u64, Vec<Type>),
}

impl Type {
    fn any(random: &mut Seeded, depth: u32) -> Type {
        let kinds = if depth == 0 { 10 } else { 14 };
        Type::of(random.below(kinds), random, depth)
    }

    fn of(kind: u64, random: &mut Seeded, depth: u32) -> Type {
        match kind {
            0 => Type::Null,
            1 => Type::Boolean,
            2 => Type::Int,
            3 => Type::Long,
            4 => Type::Float,
            5 => Type::Double,
            6 => Type::Bytes,
            7 => Type::Text,
            8 => Type::Fixed(random.next(), random.below(20) as usize),
            9 => Type::Enum(random.next()),
            10 => Type::Array(Type::any(random, depth - 1).into()),
            11 => Type::Map(Type::any(random, depth - 1).into()),
            12 => {
                // No kind twice.
                let begin = random.below(8);
                let kinds = (0..=random.below(3)).map(|step| (begin + step * 3) % 8);
                Type::Union(kinds.map(|kind| Type::of(kind, random, 0)).collect())
            }
            _ => Type::record(random, depth),
        }
    }

    fn record(random: &mut Seeded, depth: u32) -> Type {
        let fields = (0..random.below(6)).map(|_| Type::any(random, depth - 1)).collect();
        Type::Record(random.next(), fields)
    }

    fn schema(&self) -> Json {
        match self {
            Type::Null => json!("null"),
            Type::Boolean => json!("boolean"),
            Type::Int => json!("int"),
            Type::Long => json!("long"),
            Type::Float => json!("float"),
            Type::Double => json!("double"),
            Type::Bytes => json!("bytes"),
            Type::Text => json!("string"),
            Type::Fixed(name, size) => json!({ "type": "fixed", "name": format!("F{name}"), "size": size }),
            Type::Enum(name) => json!({ "type": "enum", "name": format!("E{name}"), "symbols": ["A", "B"] }),
            Type::Array(items) => json!({ "type": "array", "items": items.schema() }),
            Type::Map(values) => json!({ "type": "map", "values": values.schema() }),
            Type::Union(members) => members.iter().map(Type::schema).collect(),
            Type::Record(name, fields) => {
                let named =
                    |(index, ty): (usize, &Type)| json!({ "name": format!("f{index}"), "type": ty.schema() });
                let fields: Json = fields.iter().enumerate().map(named).collect();
                json!({ "type": "record", "name": format!("R{name}"), "fields": fields })
            }
        }
    }

    /// A value, and what it should become.
    fn value(&self, random: &mut Seeded) -> (Value, Json) {
        match self {
            Type::Null => (Value::Null, Json::Null),
            Type::Boolean => {
                let value = random.below(2) == 0;
                (Value::Boolean(value), json!(value))
            }
            Type::Int => {
                let value = random.bits() as i32;
                (Value::Int(value), json!(value))
            }
            Type::Long => {
                let value = random.bits() as i64;
                (Value::Long(value), json!(value))
            }
            Type::Float => {
                let value = f32::from_bits(random.bits() as u32);
                (Value::Float(value), float(value.into()))
            }
            Type::Double => {
                let value = f64::from_bits(random.bits());
                (Value::Double(value), float(value))
            }
            Type::Bytes => {
                let value: Vec<_> = (0..random.below(10)).map(|_| random.next() as u8).collect();
                (Value::Bytes(value.clone()), json!(base64(&value)))
            }
            Type::Text => {
                let value: String =
                    (0..random.below(10)).filter_map(|_| char::from_u32(random.bits() as u32)).collect();
                (Value::String(value.clone()), json!(value))
            }
            Type::Fixed(_, size) => {
                let value: Vec<_> = (0..*size).map(|_| random.next() as u8).collect();
                (Value::Fixed(*size, value.clone()), json!(base64(&value)))
            }
            Type::Enum(_) => {
                let index = random.below(2) as u32;
                let symbol = ["A", "B"][index as usize];
                (Value::Enum(index, symbol.to_owned()), json!(symbol))
            }
            Type::Array(items) => {
                let (values, texts): (Vec<_>, Vec<_>) = (0..random.below(4)).map(|_| items.value(random)).unzip();
                (Value::Array(values), Json::Array(texts))
            }
            Type::Map(values) => {
                // Of several, the library writes any first.
                let (value, text) = values.value(random);
                let key = random.next().to_string();
                (Value::Map([(key.clone(), value)].into_iter().collect()), json!({ key: text }))
            }
            Type::Union(members) => {
                let member = random.below(members.len() as u64);
                let (value, text) = members[member as usize].value(random);
                (Value::Union(member as u32, Box::new(value)), text)
            }
            Type::Record(_, fields) => {
                let (mut values, mut texts) = (Vec::new(), serde_json::Map::new());
                for (index, field) in fields.iter().enumerate() {
                    let (value, text) = field.value(random);
                    values.push((format!("f{index}"), value));
                    texts.insert(format!("f{index}"), text);
                }
                (Value::Record(values), Json::Object(texts))
            }
        }
    }
}

fn float(value: f64) -> Json {
    match value {
        value if value.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        value => json!(value),
    }
}

fn base64(bytes: &[u8]) -> String {
    let alphabet: Vec<_> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let mut out = String::new();
    for part in bytes.chunks(3) {
        let bits = part.iter().chain(&[0, 0]).take(3).fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        for place in 0..4 {
            let digit = alphabet[bits >> (18 - 6 * place) & 63];
            out.push(if place <= part.len() { digit } else { '=' });
        }
    }
    out
}

#[test]
fn what_the_library_writes_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, schema: &Json| {
        let path = dir.path().join(name);
        fs::write(&path, schema.to_string()).unwrap();
        path
    };
    for seed in 0..400 {
        let mut random = Seeded(seed);
        let ty = Type::record(&mut random, 4);
        let schema = ty.schema();
        let writer = apache_avro::Schema::parse(&schema).unwrap();
        // A reader that has some of the fields, in the opposite order.
        let mut less = schema.clone();
        let fields = less["fields"].as_array_mut().unwrap();
        fields.retain(|_| random.below(2) == 0);
        fields.reverse();
        let kept: Vec<String> = fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect();
        let source = || SchemaSource::File(file("writer.avsc", &schema));
        let mut whole = Decoder::new(Encoding::Avro { schema: source(), reader: None }).unwrap();
        let reader = Some(file("reader.avsc", &less));
        let mut part = Decoder::new(Encoding::Avro { schema: source(), reader })
            .unwrap_or_else(|error| panic!("seed {seed}: {error}: {schema} by {less}"));
        for _ in 0..10 {
            let (value, mut expected) = ty.value(&mut random);
            let bytes = GenericDatumWriter::builder(&writer).build().unwrap().write_value_to_vec(value).unwrap();
            assert_eq!(text(&mut whole, &bytes), Ok(expected.to_string()), "seed {seed}");
            expected.as_object_mut().unwrap().retain(|name, _| kept.contains(name));
            assert_eq!(text(&mut part, &bytes), Ok(expected.to_string()), "seed {seed}, in part");
            if !bytes.is_empty() {
                let cut = random.below(bytes.len() as u64) as usize;
                assert!(text(&mut whole, &bytes[..cut]).is_err(), "seed {seed}, cut at {cut}");
                assert!(text(&mut part, &bytes[..cut]).is_err(), "seed {seed}, in part, cut at {cut}");
            }
        }
    }
}
