//! Schemas in files, values as bytes, and numbers from a seed.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use trifold_formats::{Decoder, Encoding, FormatError, SchemaSource};

/// Files that are there as long as this is.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A decoder of Avro, with schemas given as JSON.
pub(crate) fn avro(writer: &str, reader: Option<&str>) -> Result<Decoder, FormatError> {
    let files = Files::new();
    let schema = SchemaSource::File(files.write("writer.avsc", writer));
    Decoder::new(Encoding::Avro { schema, reader: reader.map(|text| files.write("reader.avsc", text)) })
}

/// A decoder of Protobuf's only message of a file, without its first line.
pub(crate) fn protobuf(text: &str) -> Decoder {
    let files = Files::new();
    let schema = SchemaSource::File(files.write("test.proto", &format!("syntax = \"proto3\"; {text}")));
    Decoder::new(Encoding::Protobuf { schema, message: Some("M".to_owned()) }).unwrap()
}

/// The text of a value, or the message of the error, which must leave nothing behind.
pub(crate) fn text(decoder: &mut Decoder, value: &[u8]) -> Result<String, String> {
    let mut out = b"before".to_vec();
    match decoder.decode(value, &mut out) {
        Ok(()) => {
            let text = String::from_utf8(out.split_off(6)).unwrap();
            serde_json::from_str::<serde::de::IgnoredAny>(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            Ok(text)
        }
        Err(error) => {
            assert_eq!(out, b"before");
            assert!(!error.is_transient(), "{error}");
            Err(error.to_string())
        }
    }
}

/// A number in zigzag order of variable length.
pub(crate) fn long(number: i64) -> Vec<u8> {
    let (mut zigzag, mut out) = (((number << 1) ^ (number >> 63)) as u64, Vec::new());
    while zigzag >= 0x80 {
        out.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
    out
}

/// The splitmix64 sequence of a seed.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
