//! What is not admitted, and why.

use serde_json::{Value, json};
use trifold_sandbox::{AdmissionError, Sandbox, SandboxConfig};
use trifold_wat_guest::{Guest, component, field, row_view, unruly};

use crate::rig::{admit, sandbox};

#[track_caller]
fn refused(wasm: &[u8]) -> AdmissionError {
    sandbox().admit(wasm).map(|transform| panic!("{transform:?} was admitted")).unwrap_err()
}

#[track_caller]
fn check(error: &AdmissionError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

fn describing(change: impl FnOnce(&mut Value)) -> Guest {
    let mut view = row_view("liar", &[field("k", "int64")], &[field("y", "int64")]);
    change(&mut view);
    Guest::new(view)
}

#[test]
fn a_component_is_admitted_with_what_it_says() {
    let guest = describing(|_| {});
    let transform = admit(&guest);
    assert_eq!(transform.view().name.as_str(), "liar");
    assert_eq!(transform.view().doc, "A guest of the tests.");
    assert_eq!(transform.digest(), trifold_model::ComponentDigest::of(&guest.build().unwrap()));
    let description: Value = serde_json::from_str(transform.description()).unwrap();
    assert_eq!(description["view"], "liar");
}

#[test]
fn what_is_not_a_component_is_told_apart() {
    for bytes in [&b""[..], b"\0as", b"not wasm at all", b"PK\x03\x04"] {
        let error = refused(bytes);
        assert!(matches!(error, AdmissionError::NotWasm), "{error}");
    }
    let error = refused(&describing(|_| {}).module().unwrap());
    assert!(matches!(error, AdmissionError::CoreModule), "{error}");
    check(&error, &["a core module, not a component", "trifold build"]);
}

#[test]
fn a_component_that_was_cut_short_is_invalid_somewhere() {
    let wasm = describing(|_| {}).build().unwrap();
    for length in [8, 9, 100, wasm.len() / 2, wasm.len() - 1] {
        let error = refused(&wasm[..length]);
        let expected = matches!(error, AdmissionError::Invalid { .. } | AdmissionError::MissingExport { .. });
        assert!(expected, "{length} bytes: {error}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a failing test shows its seed")]
fn damaged_components_are_refused_or_work() {
    let wasm = describing(|_| {}).build().unwrap();
    let mut seed = 20_130_101_u64;
    println!("seed {seed}");
    for _ in 0..300 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut damaged = wasm.clone();
        let at = (seed >> 33) as usize % damaged.len();
        damaged[at] ^= 1 << (seed >> 29 & 7);
        // Whatever comes of it, it is an answer.
        drop(sandbox().admit(&damaged));
    }
}

#[test]
fn a_component_beyond_the_size_limit_is_refused_unread() {
    let config = SandboxConfig { component_bytes_max: 100, instances_max: 1, ..SandboxConfig::default() };
    let error = Sandbox::new(config).unwrap().admit(&[0; 101]).unwrap_err();
    check(&error, &["component size limit of 100 bytes reached", "has 101"]);
}

#[test]
fn a_foreign_import_is_named() {
    let wit = "package test:foreign;
        interface clock { now: func() -> u64; }
        world foreign { include trifold:feature/row-transform@1.0.0; import clock; }";
    let guest = describing(|_| {}).world("foreign", Some(wit));
    let wat =
        guest.wat().replacen("(import", r#"(import "test:foreign/clock" "now" (func (result i64))) (import"#, 1);
    let error = refused(&component(&wat, "foreign", Some(wit)).unwrap());
    assert!(matches!(error, AdmissionError::ForeignImport { .. }), "{error}");
    check(&error, &["`test:foreign/clock`", "only `trifold:feature/diagnostics@1.0.0`"]);
}

#[test]
fn a_missing_export_is_named() {
    let wit = "package test:part; world part { export describe: func() -> string; }";
    let wat = r#"(module (memory (export "memory") 1) (func (export "describe") (result i32) (i32.const 0)))"#;
    let error = refused(&component(wat, "part", Some(wit)).unwrap());
    check(&error, &["does not export `apply`", "row-transform"]);
    let wit = "package test:part; world part { export apply: func(); }";
    let wat = r#"(module (func (export "apply")))"#;
    check(&refused(&component(wat, "part", Some(wit)).unwrap()), &["does not export `describe`"]);
}

#[test]
fn an_export_of_another_type_is_named() {
    let wit = "package test:other;
        world other { export describe: func() -> string; export apply: func(rows: u32) -> u32; }";
    let wat = r#"(module (memory (export "memory") 1)
        (func (export "describe") (result i32) (i32.const 0))
        (func (export "apply") (param i32) (result i32) (i32.const 0)))"#;
    let error = refused(&component(wat, "other", Some(wit)).unwrap());
    assert!(matches!(error, AdmissionError::WrongType { .. }), "{error}");
    check(&error, &["`apply`"]);
}

#[test]
fn the_import_with_another_type_is_refused() {
    let wit = "package trifold:feature@1.0.0;
        interface diagnostics { panic: func(message: string) -> string; }
        world other { import diagnostics; export describe: func() -> string; export apply: func(); }";
    let wat = r#"(module (memory (export "memory") 1)
        (import "trifold:feature/diagnostics@1.0.0" "panic" (func (param i32 i32 i32)))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
        (func (export "describe") (result i32) (i32.const 0))
        (func (export "apply")))"#;
    let wat = wat.replace("(memory (export \"memory\") 1)", "");
    let wat = wat.replace("(func (export \"cabi", "(memory (export \"memory\") 1) (func (export \"cabi");
    let error = refused(&trifold_wat_guest::lone_component(&wat, "other", wit).unwrap());
    assert!(matches!(error, AdmissionError::WrongType { .. }), "{error}");
    check(&error, &["trifold:feature/diagnostics@1.0.0", "panic"]);
}

#[test]
fn a_window_component_must_have_the_types_of_its_world() {
    let exports = ["prepare", "accumulate", "merge", "finish"];
    let functions = |each: fn(&str) -> String| exports.map(each).concat();
    let wit = functions(|name| format!("export {name}: func(); "));
    let wit = format!("package trifold:feature@1.0.0; world other {{ export describe: func() -> string; {wit} }}");
    let wat = functions(|name| format!("(func (export \"{name}\"))"));
    let wat = format!(
        r#"(module (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (unreachable))
        (func (export "describe") (result i32) (unreachable)) {wat})"#
    );
    let error = refused(&trifold_wat_guest::lone_component(&wat, "other", &wit).unwrap());
    assert!(matches!(error, AdmissionError::WrongType { .. }), "{error}");
    check(&error, &["prepare"]);
}

#[test]
fn an_on_demand_view_is_a_component_of_the_row_world() {
    let on_demand = |view: &mut Value| {
        view["kind"] = json!("on-demand");
        view["inputs"][0]["source"] = json!("request");
    };
    let transform = admit(&describing(on_demand));
    assert_eq!(transform.view().request_fields().count(), 1);
    let error = refused(&describing(|view| view["kind"] = json!("on-demand")).build().unwrap());
    check(&error, &["input k has the source \"event\""]);
}

#[test]
fn a_lying_description_is_refused_with_every_lie() {
    let lies = describing(|view| {
        view["entity"] = json!(["k", "ghost"]);
        view["inputs"] = json!([field("k", "float64"), field("k", "int64"), field("Bad Name", "int64")]);
        view["outputs"] = json!([field("y", "uuid")]);
        view["limits"] = json!({"memory-bytes": 1});
    });
    let error = refused(&lies.build().unwrap());
    assert!(matches!(error, AdmissionError::DescribeView { .. }), "{error}");
    let parts = [
        "impossible view liar",
        "input field k is declared twice",
        "entity field ghost is not an input",
        "`Bad Name` is not a valid field name",
        "output y: unknown type `uuid`",
        "memory limit of 1 bytes",
    ];
    check(&error, &parts);
    let error = refused(&Guest::new("I am a view, trust me").build().unwrap());
    check(&error, &["describe returned no view", "expected value at line 1"]);
}

#[test]
fn describe_is_held_to_limits() {
    // The description's own place is used by the loops, as `describe` has no parameters to tell it what to do.
    let with = |body: &str| {
        let wat = describing(|_| {}).wat();
        let (head, tail) = wat.split_once(r#"(func (export "describe") (result i32)"#).unwrap();
        component(&format!(r#"{head}(func (export "describe") (result i32) {body} {tail}"#), "row-transform", None)
    };
    check(&refused(&with("(loop $l (br $l))").unwrap()), &["calling describe failed: fuel limit of 20000000"]);
    check(&refused(&with("(unreachable)").unwrap()), &["calling describe failed: the guest trapped"]);
    let bomb = "(loop $l (drop (memory.grow (i32.const 16))) (br $l))";
    check(&refused(&with(bomb).unwrap()), &["calling describe failed: memory limit"]);
    let far = "(i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const -1)) (return (i32.const 16))";
    check(&refused(&with(far).unwrap()), &["calling describe failed", "out of bounds"]);
    let long = "(drop (memory.grow (i32.const 40))) (i32.store (i32.const 16) (i32.const 65536))
        (i32.store (i32.const 20) (i32.const 2000000)) (return (i32.const 16))";
    check(&refused(&with(long).unwrap()), &["description limit of 1048576 bytes reached: it has 2000000"]);
}

#[test]
fn memory_that_does_not_fit_is_refused() {
    let limits = |view: &mut Value| view["limits"] = json!({"memory-bytes": 2 << 20});
    let error = refused(&unruly("big", limits).pages(33).build().unwrap());
    check(&error, &["view big", "starts with 2162688 bytes", "2097152"]);
    assert!(sandbox().admit(&unruly("big", limits).pages(32).build().unwrap()).is_ok());
    let error = refused(&unruly("huge", |_| {}).pages(5000).build().unwrap());
    check(&error, &["cannot be compiled", "memory"]);
}

#[test]
fn what_the_engine_does_not_run_is_refused() {
    for items in [
        "(memory $second 1)",
        "(func (param f32) (drop (f32x4.relaxed_madd (f32x4.splat (local.get 0)) (f32x4.splat (local.get 0))
            (f32x4.splat (local.get 0)))))",
        "(tag $t) (func (throw $t))",
    ] {
        let Ok(wasm) = describing(|_| {}).items(items).build() else { continue };
        let error = refused(&wasm);
        let expected = matches!(error, AdmissionError::Compile { .. } | AdmissionError::Invalid { .. });
        assert!(expected, "{items}: {error}");
    }
}
