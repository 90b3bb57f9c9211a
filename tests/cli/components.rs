//! Files that are no transforms, and transforms that lie.

use std::fs;

use serde_json::{Value, json};
use trifold_cli::exit::Exit;
use trifold_tests::command::Ran;
use trifold_tests::guests;
use trifold_wat_guest::{Guest, component, field, lone_component, row_view};

use crate::site::empty;

/// Gives a file to every command that takes a component; all say the same, and nothing is registered.
#[track_caller]
fn check(wasm: &[u8], exit: Exit, parts: &[&str]) {
    let trifold = empty();
    let path = trifold.path("transform.wasm");
    fs::write(&path, wasm).unwrap();
    for command in ["inspect", "check", "push"] {
        let ran: Ran = trifold.run([command, path.to_str().unwrap()]);
        // What only the gate finds does not concern `inspect`.
        if command != "inspect" || exit != Exit::Refused {
            ran.refused(exit, parts);
        }
    }
    assert!(!trifold.data("registry").exists());
}

fn describing(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut view = row_view("liar", &[field("k", "int64")], &[field("y", "int64")]);
    change(&mut view);
    Guest::new(view).build().unwrap()
}

#[test]
fn no_file_and_no_regular_file() {
    let trifold = empty();
    trifold.run(["inspect", "missing.wasm"]).refused(Exit::NotFound, &["cannot read missing.wasm"]);
    trifold.run(["inspect", "."]).refused(Exit::Usage, &[". is a directory"]);
}

#[test]
fn files_that_are_no_components() {
    check(b"", Exit::Data, &["this is not WebAssembly"]);
    check(b"#!/bin/sh\n", Exit::Data, &["this is not WebAssembly"]);
    let module = Guest::new(row_view("m", &[field("k", "int64")], &[field("y", "int64")])).module().unwrap();
    check(&module, Exit::Data, &["this is a core module, not a component", "trifold build"]);
    let whole = describing(|_| {});
    check(&whole[..whole.len() - 7], Exit::Data, &["the component is invalid at byte"]);
}

#[test]
fn a_component_that_is_too_large() {
    let trifold = empty();
    fs::write(trifold.path("trifold.toml"), "[sandbox]\ncomponent-bytes-max = 100").unwrap();
    fs::write(trifold.path("large.wasm"), describing(|_| {})).unwrap();
    let parts = ["component size limit of 100 bytes reached: the component has "];
    trifold.run(["inspect", "large.wasm"]).refused(Exit::Data, &parts);
}

#[test]
fn a_foreign_import_is_named() {
    let wit = "package guest:clock;
        interface clock { now: func() -> s64; }
        world timed { import clock; include trifold:feature/row-transform@1.0.0; }";
    let guest = Guest::new(row_view("timed", &[field("k", "int64")], &[field("y", "int64")]));
    let wat = guest.wat().replacen(
        "(import",
        "(import \"guest:clock/clock\" \"now\" (func $now (result i64)))\n  (import",
        1,
    );
    let wasm = component(&wat, "timed", Some(wit)).unwrap();
    let parts = ["imports `guest:clock/clock`", "may import only `trifold:feature/diagnostics@1.0.0`"];
    check(&wasm, Exit::Data, &parts);
}

#[test]
fn a_missing_export_is_named() {
    let wat = r#"(module
      (memory (export "memory") 1)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
      (func (export "describe") (result i32) (i32.const 0)))"#;
    let wit = "package guest:half; world half { export describe: func() -> string; }";
    let wasm = lone_component(wat, "half", wit).unwrap();
    check(&wasm, Exit::Data, &["does not export `apply`", "build it with trifold-sdk"]);
}

#[test]
fn a_describe_that_is_no_view() {
    check(&Guest::new("view: liar").build().unwrap(), Exit::Data, &["describe returned no view"]);
    check(&describing(|view| view["contract"] = json!(2)), Exit::Data, &["follows contract 2"]);
    check(
        &describing(|view| view["kind"] = json!("window")),
        Exit::Data,
        &["it has no windows", "fold-order is missing"],
    );
}

#[test]
fn a_describe_that_lies_of_its_fields() {
    let twice = describing(|view| view["outputs"] = json!([field("y", "int64"), field("y", "utf8")]));
    check(&twice, Exit::Data, &["impossible view liar", "output field y is declared twice"]);
    let name = describing(|view| view["outputs"] = json!([field("Not A Name", "int64")]));
    check(&name, Exit::Data, &["`Not A Name` is not a valid field name"]);
    let ty = describing(|view| view["inputs"] = json!([field("k", "decimal")]));
    check(&ty, Exit::Data, &["input k: unknown type `decimal`"]);
    let entity = describing(|view| view["entity"] = json!(["other"]));
    check(&entity, Exit::Data, &["entity field other is not an input"]);
    let all = describing(|view| {
        view["entity"] = json!(["other"]);
        view["limits"] = json!({"fuel": 1});
    });
    check(&all, Exit::Data, &["entity field other is not an input", "the fuel limit 1 is outside"]);
}

/// The guest answers the words that it is given, whatever describe says of them.
#[test]
fn answers_that_are_not_what_describe_says() {
    let text = describing(|view| view["outputs"] = json!([field("y", "utf8")]));
    let parts =
        ["view liar: the publish gate refuses", "answers as described: sample row 0", "output y", "trifold-sdk"];
    check(&text, Exit::Refused, &parts);
    let two = describing(|view| view["outputs"] = json!([field("y", "int64"), field("z", "int64")]));
    check(&two, Exit::Refused, &["answers as described", "ends inside output z"]);
    let rows = Guest::new(row_view("liar", &[field("k", "int64")], &[field("y", "int64")])).apply(
        "(call $answer (i32.add (local.get $rows) (i32.const 1)) (local.get $words) (local.get $count) \
         (i32.const 0) (i32.const 0))",
    );
    check(&rows.build().unwrap(), Exit::Refused, &["answers as described", "2 rows for 1 rows"]);
}

#[test]
fn text_that_is_not_utf_8_is_found_in_a_sample() {
    let trifold = empty();
    let view = row_view("liar", &[field("k", "binary")], &[field("y", "utf8")]);
    fs::write(trifold.path("liar.wasm"), Guest::new(view).build().unwrap()).unwrap();
    let sample = "{\"event_time\": 0, \"event_id\": \"a\", \"k\": \"Zm9v\"}\n{\"event_time\": 1, \"event_id\": \"b\", \"k\": \"/w==\"}\n";
    fs::write(trifold.path("sample.jsonl"), sample).unwrap();
    trifold.run(["check", "liar.wasm"]).succeeded();
    let ran = trifold.run(["check", "liar.wasm", "--sample", "sample.jsonl"]);
    ran.refused(Exit::Refused, &["answers as described: sample row 1", "output y", "UTF-8"]);
}

#[test]
fn a_describe_that_never_ends_and_one_that_traps() {
    let guest = Guest::new(row_view("liar", &[field("k", "int64")], &[field("y", "int64")]));
    let describe = "(func (export \"describe\") (result i32)";
    let with = |body: &str| {
        let wat = guest.wat().replacen(describe, &format!("{describe} {body}"), 1);
        component(&wat, "row-transform", None).unwrap()
    };
    let parts = ["calling describe failed", "fuel limit of 20000000 units reached"];
    check(&with("(loop $forever (br $forever))"), Exit::Data, &parts);
    check(&with("(unreachable)"), Exit::Data, &["calling describe failed", "unreachable"]);
}

#[test]
fn a_window_view_shows_what_it_folds() {
    let trifold = empty();
    let path = trifold.path("window-fold.wasm");
    fs::write(&path, &guests::component("window-fold", &[]).component).unwrap();
    let text = trifold.run(["inspect".as_ref(), path.as_os_str()]).succeeded().stdout;
    for part in ["window view window_fold", "1m in hops of 5s, 1h in hops of 1m", "event-time", "count once"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
