//! Schemas in files that cannot be used.

use trifold_formats::{Decoder, Encoding, FormatError, RegistrySettings, SchemaSource};

use crate::fixtures::{Files, text};

const TWO: &str =
    "syntax = \"proto3\"; package p; import \"inner/other.proto\"; message A { o.O o = 1; } message B {}";
const OTHER: &str = "syntax = \"proto3\"; package o; message O { int32 x = 1; }";

#[track_caller]
fn check_refused(encoding: Encoding, parts: &[&str]) {
    let problem = Decoder::new(encoding).unwrap_err().to_string();
    assert!(parts.iter().all(|part| problem.contains(part)), "{problem}");
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let files = Files::new();
    let avro = |path| Encoding::Avro { schema: SchemaSource::File(path), reader: None };
    check_refused(avro(files.path("none.avsc")), &["cannot read ", "none.avsc", "No such file"]);
    check_refused(avro(files.write("a.avsc", "{")), &["a.avsc is no schema that can be used: "]);
    let unknown = r#"{"type":"record","name":"R","fields":[{"name":"x","type":"Unknown"}]}"#;
    check_refused(avro(files.write("b.avsc", unknown)), &["b.avsc is no schema", "Unknown"]);

    let protobuf = |path, message: Option<&str>| Encoding::Protobuf {
        schema: SchemaSource::File(path),
        message: message.map(str::to_owned),
    };
    check_refused(protobuf(files.path("none.proto"), None), &["cannot read ", "none.proto", "No such file"]);
    check_refused(
        protobuf(files.write("a.proto", "message {"), None),
        &["a.proto is no schema that can be used: "],
    );
    let path = files.write("two.proto", TWO);
    check_refused(protobuf(path.clone(), None), &["two.proto is no schema", "inner/other.proto"]);
    std::fs::create_dir(files.path("inner")).unwrap();
    files.write("inner/other.proto", OTHER);
    check_refused(protobuf(path.clone(), None), &["it has 2 messages, and one must be named: p.A, p.B"]);
    check_refused(protobuf(path.clone(), Some("A")), &["it has no message A, but p.A, p.B"]);
    let mut decoder = Decoder::new(protobuf(path.clone(), Some("p.A"))).unwrap();
    assert_eq!(text(&mut decoder, &[0x0a, 2, 0x08, 1]).unwrap(), r#"{"o":{"x":1}}"#);
    // A message of a file that is imported can be named, too.
    let mut decoder = Decoder::new(protobuf(path, Some("o.O"))).unwrap();
    assert_eq!(text(&mut decoder, &[0x08, 1]).unwrap(), r#"{"x":1}"#);
}

#[test]
fn what_a_registry_is_reached_with_is_checked() {
    let files = Files::new();
    let with_ca = |path| {
        let mut settings = RegistrySettings::new("https://example.org");
        settings.ca_file = Some(path);
        Encoding::Avro { schema: SchemaSource::Registry(settings), reader: None }
    };
    check_refused(with_ca(files.path("none.pem")), &["cannot read ", "none.pem"]);
    check_refused(
        with_ca(files.write("empty.pem", "")),
        &["no certificates to trust in ", "empty.pem: there are none"],
    );
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    check_refused(with_ca(files.write("broken.pem", broken)), &["no certificates to trust in ", "broken.pem"]);
    let error = Decoder::new(Encoding::Protobuf {
        schema: SchemaSource::Registry(RegistrySettings::new("example.org")),
        message: None,
    });
    assert!(matches!(error, Err(FormatError::Url { .. })), "{error:?}");
}

#[test]
fn json_is_passed_on() {
    let mut decoder = Decoder::new(Encoding::Json).unwrap();
    for value in [&b"{\"a\":1}"[..], b"no JSON \xff", b""] {
        let mut out = b"before".to_vec();
        decoder.decode(value, &mut out).unwrap();
        assert_eq!(out, [b"before", value].concat());
    }
}

#[test]
fn a_decoder_goes_where_its_worker_goes() {
    fn is_send<T: Send + 'static>(_: &T) {}
    is_send(&Decoder::new(Encoding::Json).unwrap());
}
