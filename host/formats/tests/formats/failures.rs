//! A registry that fails, and values that name what it does not have.

use std::time::{Duration, Instant};

use trifold_formats::{
    Credentials, Decoder, Encoding, Reason, RegistryError, RegistrySettings, SchemaSource, ValueError,
};

use crate::fake::{Fake, Then};

const SCHEMA: &str = r#"{"type":"record","name":"R","fields":[{"name":"x","type":"int"}]}"#;
const VALUE: [u8; 6] = [0, 0, 0, 0, 7, 14];

fn settings(url: &str) -> RegistrySettings {
    RegistrySettings { timeout: Duration::from_millis(300), ..RegistrySettings::new(url) }
}

fn avro(settings: RegistrySettings) -> Decoder {
    Decoder::new(Encoding::Avro { schema: SchemaSource::Registry(settings), reader: None }).unwrap()
}

/// The answer that has a schema.
fn answer(schema: &str, more: &str) -> Then {
    Then::Answer(200, format!("{{\"schema\":{}{more}}}", serde_json::to_string(schema).unwrap()))
}

fn error_of(decoder: &mut Decoder, value: &[u8]) -> ValueError {
    let mut out = Vec::new();
    let error = decoder.decode(value, &mut out).unwrap_err();
    assert_eq!(out, b"");
    error
}

fn reason_of(decoder: &mut Decoder, value: &[u8]) -> Reason {
    match error_of(decoder, value) {
        ValueError::Undecodable { field, reason } if field.is_empty() => reason,
        other => panic!("{other}"),
    }
}

#[track_caller]
fn check_transient(then: Then, expected: &str) {
    let fake = Fake::start(move |_| then.clone());
    let error = error_of(&mut avro(settings(&fake.url)), &VALUE);
    assert!(error.is_transient() && error.to_string().contains(expected), "{error}");
}

#[test]
fn a_registry_that_fails_is_no_error_of_a_value() {
    let refusal = |code: u32| format!("{{\"error_code\":{code},\"message\":\"no\"}}");
    check_transient(Then::Answer(500, "oh".to_owned()), "answered 500 to http://127.0.0.1:");
    check_transient(Then::Answer(500, refusal(50_001)), "/api/schemas/ids/7: 50001 no");
    check_transient(Then::Answer(503, String::new()), "answered 503");
    check_transient(Then::Answer(401, refusal(40_101)), "answered 401");
    check_transient(Then::Answer(403, refusal(40_301)), "answered 403");
    check_transient(Then::Answer(429, String::new()), "answered 429");
    // A path that is not there is no schema that is not there.
    check_transient(Then::Answer(404, "<html>not here</html>".to_owned()), "answered 404");
    check_transient(Then::Answer(404, refusal(404)), "answered 404");
    check_transient(Then::Answer(200, "<html>log in</html>".to_owned()), "is none of a schema registry");
    check_transient(Then::Answer(200, "{}".to_owned()), "missing field `schema`");
    check_transient(Then::Close, "cannot be reached");
    check_transient(Then::Answer(200, " ".repeat((16 << 20) + 1)), "has more than 16777216 bytes");
}

#[test]
fn a_registry_has_its_time_and_no_more() {
    for then in [Then::Silence, Then::Drip] {
        let fake = Fake::start(move |_| then.clone());
        let begun = Instant::now();
        let error = error_of(&mut avro(settings(&fake.url)), &VALUE);
        assert!(matches!(error, ValueError::Registry(RegistryError::Timeout { .. })), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn nobody_there_is_no_error_of_a_value() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = error_of(&mut avro(settings(&format!("http://{free}"))), &VALUE);
    assert!(matches!(error, ValueError::Registry(RegistryError::Unreachable { .. })), "{error}");
    // What answers does not speak TLS.
    let fake = Fake::start(|_| Then::Answer(200, String::new()));
    let error = error_of(&mut avro(settings(&fake.url.replace("http:", "https:"))), &VALUE);
    assert!(error.is_transient(), "{error}");
}

#[test]
fn a_schema_is_asked_for_once() {
    let fake = Fake::start(|_| answer(SCHEMA, ""));
    let mut with_password = settings(&fake.url);
    with_password.credentials = Some(Credentials { user: "me".to_owned(), password: "secret".to_owned() });
    assert!(!format!("{with_password:?}").contains("secret"));
    let mut decoder = avro(with_password);
    assert!(!format!("{decoder:?}").contains("bWU6c2VjcmV0"));
    assert_eq!(fake.asked().len(), 0);
    for _ in 0..3 {
        let mut out = Vec::new();
        decoder.decode(&VALUE, &mut out).unwrap();
        assert_eq!(out, br#"{"x":7}"#);
    }
    let asked = fake.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].starts_with("GET /api/schemas/ids/7 HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked[0].to_lowercase().contains("\r\nauthorization: basic bwu6c2vjcmv0\r\n"), "{asked:?}");
}

#[test]
fn a_schema_that_cannot_be_used_is_asked_for_once() {
    let too_much = answer(SCHEMA, ",\"schemaType\":\"JSON\"");
    for (then, expected) in [(answer("{", ""), "JSON"), (too_much, "it is of the type JSON, not AVRO")] {
        let fake = Fake::start(move |_| then.clone());
        let mut decoder = avro(settings(&fake.url));
        for _ in 0..3 {
            let reason = reason_of(&mut decoder, &VALUE);
            let Reason::Schema { id: 7, problem } = &reason else { panic!("{reason}") };
            assert!(problem.contains(expected), "{problem}");
        }
        assert_eq!(fake.asked().len(), 1);
    }
}

#[test]
fn a_schema_that_is_unknown_may_be_known_later() {
    let refusal = r#"{"error_code":40403,"message":"Schema not found"}"#.to_owned();
    let fake = Fake::start(move |_| Then::Answer(404, refusal.clone()));
    let mut decoder = avro(settings(&fake.url));
    for count in 1..3 {
        let reason = reason_of(&mut decoder, &VALUE);
        assert_eq!(reason, Reason::UnknownSchema { id: 7, answer: "Schema not found".to_owned() });
        assert_eq!(fake.asked().len(), count);
    }
}

#[test]
fn what_begins_otherwise_is_named_without_a_question() {
    let fake = Fake::start(|_| Then::Close);
    let mut decoder = avro(settings(&fake.url));
    assert_eq!(reason_of(&mut decoder, b"{\"x\":7}"), Reason::MagicByte { found: b'{' });
    for length in 0..5 {
        assert_eq!(reason_of(&mut decoder, &VALUE[..length]), Reason::ShortHeader { bytes: length });
    }
    let schema = SchemaSource::Registry(settings(&fake.url));
    let mut decoder = Decoder::new(Encoding::Protobuf { schema, message: None }).unwrap();
    assert!(matches!(reason_of(&mut decoder, &VALUE[..5]), Reason::MessageIndexes(_)));
    assert!(matches!(reason_of(&mut decoder, &[0, 0, 0, 0, 7, 1]), Reason::MessageIndexes(_)));
    assert_eq!(fake.asked().len(), 0);
}

/// One schema refers to another: the text of what stands behind the schema.
fn refers(to: &str) -> String {
    format!(",\"references\":[{{\"name\":\"{to}\",\"subject\":\"{to}/é\",\"version\":3}}]")
}

#[test]
fn references_end() {
    // Two that refer to each other, as no registry should have them.
    let fake = Fake::start(|head| match head.contains("/subjects/") {
        false => answer(r#"{"type":"record","name":"R","fields":[{"name":"x","type":"A"}]}"#, &refers("A")),
        true if head.contains("/subjects/A%2F%C3%A9/versions/3?deleted=true ") => {
            answer(r#"{"type":"record","name":"A","fields":[{"name":"b","type":"B"}]}"#, &refers("B"))
        }
        true => answer(r#"{"type":"enum","name":"B","symbols":["S"]}"#, &refers("A")),
    });
    let mut out = Vec::new();
    avro(settings(&fake.url)).decode(&[0, 0, 0, 0, 7, 0], &mut out).unwrap();
    assert_eq!(out, br#"{"x":{"b":"S"}}"#);
    assert_eq!(fake.asked().len(), 3);

    // Ones that go on for ever.
    let counter = std::sync::atomic::AtomicU32::new(0);
    let fake = Fake::start(move |_| {
        answer(SCHEMA, &refers(&counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string()))
    });
    let reason = reason_of(&mut avro(RegistrySettings::new(&fake.url)), &VALUE);
    assert!(matches!(&reason, Reason::Schema { problem, .. } if problem.contains("more than 1000")), "{reason}");

    // A long chain, which is not nested more deeply than a stack is.
    for (length, fits) in [(90, true), (900, false)] {
        let fake = Fake::start(move |head| {
            let of_subject = head.split("/subjects/").nth(1).and_then(|rest| rest.split("%2F").next());
            let number: u32 = of_subject.and_then(|name| name.strip_prefix('N')?.parse().ok()).unwrap_or_default();
            let next = format!("N{}", number + 1);
            let fields =
                if number < length { format!(r#"{{"name":"x","type":"{next}"}}"#) } else { String::new() };
            let more = if number < length { refers(&next) } else { String::new() };
            answer(&format!(r#"{{"type":"record","name":"N{number}","fields":[{fields}]}}"#), &more)
        });
        let mut decoder = avro(RegistrySettings::new(&fake.url));
        match decoder.decode(&[0, 0, 0, 0, 7], &mut Vec::new()) {
            Ok(()) => assert!(fits),
            Err(error) => assert!(!fits && error.to_string().contains("nested more than 300 levels"), "{error}"),
        }
    }

    // One that uses a name within another that is asked for before it.
    for _ in 0..20 {
        let fake = Fake::start(|head| match head {
            head if head.contains("/subjects/A") => answer(
                r#"{"type":"record","name":"A","fields":[{"name":"e","type":
                {"type":"enum","name":"E","symbols":["S","T"]}}]}"#,
                "",
            ),
            head if head.contains("/subjects/B") => {
                answer(r#"{"type":"record","name":"B","fields":[{"name":"e","type":"E"}]}"#, &refers("A"))
            }
            _ => answer(
                r#"{"type":"record","name":"R","fields":[{"name":"e","type":"E"},{"name":"b","type":"B"}]}"#,
                &refers("B"),
            ),
        });
        let mut out = Vec::new();
        avro(settings(&fake.url)).decode(&[0, 0, 0, 0, 7, 0, 2], &mut out).unwrap();
        assert_eq!(out, br#"{"e":"S","b":{"e":"T"}}"#);
    }

    // One that is not there.
    let fake = Fake::start(|head| match head.contains("/subjects/") {
        false => answer(SCHEMA, &refers("A")),
        true => Then::Answer(404, r#"{"error_code":40402,"message":"Version not found"}"#.to_owned()),
    });
    let reason = reason_of(&mut avro(settings(&fake.url)), &VALUE);
    let problem = "it refers to A, and Version not found".to_owned();
    assert_eq!(reason, Reason::Schema { id: 7, problem });
}
