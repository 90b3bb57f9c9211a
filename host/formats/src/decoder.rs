//! From the bytes of a value to its text.

use std::fs;
use std::path::{Path, PathBuf};

use crate::avro::{self, Parsed, Plan};
use crate::error::{Bad, FormatError, Reason, ValueError};
use crate::limits::TEXT_BYTES_MAX;
use crate::protobuf::{Message, Messages};
use crate::registry::{Client, Kind, Registered, Schemas};
use crate::settings::{Encoding, SchemaSource};
use crate::wire;

/// Turns values of one encoding into JSON. A worker has one for each topic, and keeps it: what it knows of schemas is in
/// it.
#[derive(Debug)]
pub struct Decoder(How);

#[derive(Debug)]
enum How {
    Json,
    Avro(Plan),
    RegisteredAvro { schemas: Schemas<Plan>, reader: Option<Parsed> },
    Protobuf { messages: Messages, message: Message },
    RegisteredProtobuf { schemas: Schemas<Messages>, message: Option<String> },
}

impl Decoder {
    /// Reads the files that the settings name. A registry is not asked before the first value.
    pub fn new(encoding: Encoding) -> Result<Decoder, FormatError> {
        Ok(Decoder(match encoding {
            Encoding::Json => How::Json,
            Encoding::Avro { schema: SchemaSource::File(path), reader } => How::Avro(avro_plan(path, reader)?),
            Encoding::Avro { schema: SchemaSource::Registry(settings), reader } => How::RegisteredAvro {
                schemas: Schemas::new(Client::new(&settings)?, Kind::Avro),
                reader: reader.as_deref().map(avro_file).transpose()?,
            },
            Encoding::Protobuf { schema: SchemaSource::File(path), message } => {
                let no = |problem| FormatError::Schema { path: path.clone(), problem };
                // An error of the compiler does not say why a file cannot be read.
                fs::metadata(&path).map_err(|source| FormatError::Read { path: path.clone(), source })?;
                let mut messages = Messages::open(&path).map_err(no)?;
                let message = messages.named(message.as_deref()).map_err(no)?;
                How::Protobuf { messages, message }
            }
            Encoding::Protobuf { schema: SchemaSource::Registry(settings), message } => {
                How::RegisteredProtobuf { schemas: Schemas::new(Client::new(&settings)?, Kind::Protobuf), message }
            }
        }))
    }

    /// Appends a value as one JSON object on one line, without its end. After an error `out` is as it was.
    ///
    /// This blocks while a registry is asked, for as long as its settings say and for each schema that is met the first
    /// time. JSON is passed on unchecked.
    pub fn decode(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
        let begin = out.len();
        let outcome = self.append(value, out).and_then(|()| match (&self.0, &out[begin..]) {
            (How::Json, _) => Ok(()),
            (_, text) if text.len() > TEXT_BYTES_MAX => Err(Reason::TooLarge.into()),
            (_, [b'{', ..]) => Ok(()),
            _ => Err(Reason::NoRecord.into()),
        });
        if outcome.is_err() {
            out.truncate(begin);
        }
        outcome
    }

    fn append(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
        let decoded: Result<(), Bad> = match &mut self.0 {
            How::Json => {
                out.extend_from_slice(value);
                Ok(())
            }
            How::Avro(plan) => avro::decode(plan, value, out),
            How::RegisteredAvro { schemas, reader } => {
                let (id, rest) = wire::schema_id(value)?;
                let plan = schemas.get(id, |registered| registered_plan(registered, reader.as_ref()))?;
                avro::decode(plan, rest, out)
            }
            How::Protobuf { messages, message } => messages.decode(message, value, out),
            How::RegisteredProtobuf { schemas, message: expected } => {
                let (id, rest) = wire::schema_id(value)?;
                let (indexes, rest) = wire::message_indexes(rest)?;
                let messages = schemas.get(id, Messages::compile)?;
                let message = messages.indexed(&indexes)?;
                if let Some(expected) = expected.as_ref().filter(|expected| *expected != message.name()) {
                    let found = message.name().to_owned();
                    return Err(Reason::OtherMessage { found, expected: expected.clone() }.into());
                }
                messages.decode(&message, rest, out)
            }
        };
        decoded.map_err(ValueError::from)
    }
}

fn registered_plan(registered: &Registered, reader: Option<&Parsed>) -> Result<Plan, String> {
    let references: Vec<_> = registered.references.iter().map(|(_, text)| text.clone()).collect();
    Parsed::new(&registered.text, &references)?.plan(reader)
}

fn avro_plan(path: PathBuf, reader: Option<PathBuf>) -> Result<Plan, FormatError> {
    let writer = avro_file(&path)?;
    let Some(reader) = reader else {
        return writer.plan(None).map_err(|problem| FormatError::Schema { path, problem });
    };
    let parsed = avro_file(&reader)?;
    writer.plan(Some(&parsed)).map_err(|problem| FormatError::Unreadable { reader, writer: path, problem })
}

fn avro_file(path: &Path) -> Result<Parsed, FormatError> {
    let text = fs::read_to_string(path).map_err(|source| FormatError::Read { path: path.to_owned(), source })?;
    Parsed::new(&text, &[]).map_err(|problem| FormatError::Schema { path: path.to_owned(), problem })
}
