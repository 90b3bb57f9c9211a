use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::*;

/// A module of the row world, apart from what it does. `extra` is placed among its fields.
fn module(extra: &str) -> Vec<u8> {
    let text = format!(
        r#"(module $guest
            (import "trifold:feature/diagnostics@1.0.0" "panic" (func $panic (param i32 i32)))
            {extra}
            (memory (export "memory") 1)
            (func $describe (export "describe") (result i32) i32.const 0)
            (func $apply (export "apply") (param i32 i32 i32) (result i32) i32.const 0)
            (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
            (@producers (language "Rust" "2024")))"#
    );
    wat::parse_str(text).unwrap()
}

/// Adds the section that wit-bindgen would have left.
fn bind(mut module: Vec<u8>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/row.wit")).unwrap();
    let world = resolve.select_world(&[package], Some("row-transform")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

fn custom_sections(wasm: &[u8]) -> Vec<String> {
    let payloads = Parser::new(0).parse_all(wasm).map(Result::unwrap);
    payloads
        .filter_map(|payload| match payload {
            Payload::CustomSection(section) => Some(section.name().to_owned()),
            _ => None,
        })
        .collect()
}

fn stripped(module: &[u8]) -> Vec<u8> {
    strip::strip(module, &producers::producers(module, None).unwrap()).unwrap()
}

#[test]
fn stripping_leaves_a_valid_module_and_its_world() {
    let module = bind(module(""));
    let before = custom_sections(&module);
    assert!(before.contains(&"name".to_owned()) && before.contains(&"producers".to_owned()), "{before:?}");

    let stripped = stripped(&module);
    let after = custom_sections(&stripped);
    assert!(after.len() == 2 && after[0].starts_with(COMPONENT_TYPE) && after[1] == "producers", "{after:?}");
    wasmparser::validate(&stripped).unwrap();
    assert_eq!(self::stripped(&stripped), stripped);
}

#[test]
fn a_module_becomes_a_component_without_its_names() {
    let component = componentize("flights", None, &bind(module(""))).unwrap();
    assert!(Parser::is_component(&component));
    wasmparser::validate(&component).unwrap();
    assert!(!custom_sections(&component).contains(&"name".to_owned()));
    // What the module's functions are called is no part of the identity.
    let renamed = String::from_utf8_lossy(&bind(module(""))).contains("guest");
    assert!(renamed && !String::from_utf8_lossy(&component).contains("guest"));
}

#[test]
fn a_component_says_what_made_it() {
    let component = componentize("flights", Some("1.2.3"), &bind(module(""))).unwrap();
    let mut made_by = Vec::new();
    for payload in Parser::new(0).parse_all(&component) {
        let Payload::CustomSection(section) = payload.unwrap() else { continue };
        let wasmparser::KnownCustom::Producers(fields) = section.as_known() else { continue };
        for field in fields.into_iter().map(Result::unwrap) {
            let values = field.values.into_iter().map(Result::unwrap);
            made_by.extend(values.map(|value| format!("{} {} {}", field.name, value.name, value.version)));
        }
    }
    for tool in ["language Rust 2024", "sdk trifold-sdk 1.2.3"] {
        assert!(made_by.iter().any(|found| found == tool), "{tool}: {made_by:?}");
    }
}

#[test]
fn a_seeded_hasher_is_refused_with_its_caller() {
    let random = r#"
        (func $_RNvNtNtNtCs1234_3std3sys6random11unsupported19hashmap_random_keys)
        (func $_RNvCs1234_3std4init call $_RNvNtNtNtCs1234_3std3sys6random11unsupported19hashmap_random_keys)
        (func $_RNvCs1234_7flights7profile call $_RNvCs1234_3std4init)"#;
    let error = componentize("flights", None, &bind(module(random))).unwrap_err();
    let BuildError::RandomState { callers, .. } = &error else { panic!("{error}") };
    assert_eq!(callers, &["flights::profile"]);
    assert!(error.to_string().contains("FixedMap"), "{error}");
}

#[test]
fn a_module_without_names_is_refused() {
    let error = componentize("flights", None, &stripped(&bind(module("")))).unwrap_err();
    assert!(matches!(error, BuildError::NoNames { .. }), "{error}");
}

#[test]
fn a_module_without_a_view_is_refused() {
    for module in [module(""), bind(wat::parse_str("(module (func $f))").unwrap())] {
        let error = componentize("flights", None, &module).unwrap_err();
        assert!(matches!(error, BuildError::NoView { .. }), "{error}");
    }
}

#[test]
fn an_import_from_elsewhere_is_named() {
    let import = r#"(import "__wbindgen_placeholder__" "__wbg_now" (func $now))"#;
    let error = componentize("flights", None, &bind(module(import))).unwrap_err().to_string();
    assert!(error.contains("__wbindgen_placeholder__.__wbg_now"), "{error}");
}

#[test]
fn bytes_that_are_no_module_are_an_error() {
    let error = componentize("flights", None, b"not wasm").unwrap_err();
    assert!(matches!(error, BuildError::Module { .. }), "{error}");
}
