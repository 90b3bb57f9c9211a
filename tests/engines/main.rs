//! The transforms that come along and the guests of the tests on several engines, called with rows that hold every kind
//! of NaN: they leave the same memory, byte for byte.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod call;
#[path = "../nan/nan/engines.rs"]
mod engines;
mod random;
mod windows;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, RecordBatch};
use trifold_model::{FeatureView, Field};
use trifold_pipeline::synthetic_samples;
use trifold_sandbox::nan::rewrite_component;
use trifold_sandbox::{Sandbox, SandboxConfig, Slab};
use trifold_tests::guests::{component, refused_component};
use trifold_tests::random::SplitMix64;
use trifold_wat_guest::{Guest, field, row_view, unruly};
use wasmparser::{Parser, Payload};

use call::{Argument, Call, Ready};
use engines::Engines;

const SEED: u64 = 20_130_101;
/// Batches of so many rows.
const ROWS: [usize; 4] = [1, 2, 65, 500];

/// Transforms with any inputs.
const STOCK: [(&str, &[&str]); 5] = [
    ("flight-profile", &[]),
    ("flight-profile", &["v2"]),
    ("aircraft", &[]),
    ("calendar", &[]),
    ("text-embedding", &[]),
];
/// Guests whose integers say how long they work: small ones.
const TESTS: [&str; 4] = ["burner", "deep-recursion", "panicker", "static-counter"];
/// Acts of the unruly guest that end by themselves.
const ACTS: [i64; 15] = [0, 1, 2, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17];

/// A component under a name, with the inputs that it is called with.
struct Case {
    name: String,
    component: Vec<u8>,
    view: FeatureView,
    batches: Vec<RecordBatch>,
}

impl Case {
    fn new(name: &str, component: &[u8], bound: impl Fn(&str, i64) -> i64) -> Self {
        let config = SandboxConfig { instances_max: 1, ..SandboxConfig::default() };
        let view = Sandbox::new(config).unwrap().admit(component).unwrap().view().clone();
        let batch = |rows| bounded(&synthetic_samples(&view, SEED + rows as u64, rows).unwrap(), &bound);
        let batches = ROWS.map(batch).into();
        Case { name: name.to_owned(), component: component.to_vec(), view, batches }
    }
}

/// The same rows with other integers.
fn bounded(batch: &RecordBatch, bound: &impl Fn(&str, i64) -> i64) -> RecordBatch {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        match column.as_primitive_opt::<Int64Type>() {
            Some(integers) => Arc::new(integers.unary::<_, Int64Type>(|n| bound(field.name(), n))) as ArrayRef,
            None => column.clone(),
        }
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (package, features) in STOCK {
        let name = format!("{package} {features:?}");
        cases.push(Case::new(&name, &component(package, features).component, |_, n| n));
    }
    for package in TESTS {
        cases.push(Case::new(package, &component(package, &[]).component, |_, n| n.rem_euclid(100)));
    }
    cases.push(Case::new("random-order", &refused_component("random-order"), |_, n| n));
    let act = |name: &str, n: i64| match name {
        "act" => ACTS[n.rem_euclid(ACTS.len() as i64) as usize],
        _ => n.rem_euclid(100),
    };
    cases.push(Case::new("unruly", &unruly("unruly", |_| {}).build().unwrap(), act));
    let floats = [field("k", "int64"), field("x", "float64"), field("y", "float32"), field("z", "list<float64>")];
    let echo = Guest::new(row_view("echo", &floats, &floats));
    cases.push(Case::new("echo", &echo.build().unwrap(), |_, n| n));
    cases
}

fn words(fields: &[Field], batch: &RecordBatch) -> Vec<u64> {
    let slab = Slab::new(fields, batch, 0..batch.num_rows());
    let mut words = vec![0; slab.words()];
    slab.write(&mut words);
    words
}

/// Gives the NaNs of doubles, which are canonical, any sign and payload.
fn with_odd_nans(mut words: Vec<u64>) -> Vec<u64> {
    let mut random = SplitMix64(SEED);
    for word in words.iter_mut().filter(|word| **word == f64::NAN.to_bits()) {
        *word |= random.bits() & 0x8007_ffff_ffff_ffff;
    }
    words
}

/// The module of a component that holds the transform itself.
fn transform_module(component: &[u8], function: &str) -> Vec<u8> {
    let modules = Parser::new(0).parse_all(component).filter_map(|payload| match payload.unwrap() {
        Payload::ModuleSection { unchecked_range, .. } => Some(component[unchecked_range].to_vec()),
        _ => None,
    });
    let exports_it = |module: &Vec<u8>| {
        Parser::new(0).parse_all(module).any(|payload| match payload.unwrap() {
            Payload::ExportSection(exports) => exports.into_iter().any(|export| export.unwrap().name == function),
            _ => false,
        })
    };
    modules.into_iter().find(exports_it).expect("no module exports the function")
}

#[track_caller]
fn check_equal(case: &str, what: &str, left: &Call, right: &Call) {
    assert_eq!(left.answer, right.answer, "{case}: {what}");
    if let (Some(left), Some(right)) = (left.fuel, right.fuel) {
        assert_eq!(left, right, "{case}: the fuel of {what}");
    }
    let same = left.memory.iter().zip(&right.memory).take_while(|(left, right)| left == right).count();
    assert!(
        left.memory.len() == right.memory.len() && same == left.memory.len(),
        "{case}: {what} differ at byte {same}"
    );
}

/// A guest on every engine.
struct Everywhere {
    cranelift: Ready,
    others: [(&'static str, Ready); 3],
    /// As it was built, with the engine's own canonical NaNs.
    original: Ready,
}

impl Everywhere {
    /// The module of a component that exports a function.
    fn new(engines: &Engines, component: &[u8], function: &str) -> Self {
        let rewritten = transform_module(&rewrite_component(component).unwrap(), function);
        Everywhere {
            cranelift: Ready::wasmtime(&engines.cranelift, &rewritten),
            others: [
                ("Cranelift and Pulley", Ready::wasmtime(&engines.pulley, &rewritten)),
                ("the flag off and on", Ready::wasmtime(&engines.flagged, &rewritten)),
                ("Cranelift and wasmi", Ready::wasmi(&engines.wasmi, &rewritten)),
            ],
            original: Ready::wasmtime(&engines.flagged, &transform_module(component, function)),
        }
    }

    /// Calls a function on all engines, which must leave the same, and returns what that is.
    #[track_caller]
    fn call(&self, case: &str, function: &str, arguments: &[Argument]) -> Call {
        let expected = self.cranelift.call(function, arguments);
        for (what, other) in &self.others {
            check_equal(case, what, &expected, &other.call(function, arguments));
        }
        expected
    }

    /// What the guest as it was built leaves must be the same too.
    #[track_caller]
    fn check_original(&self, case: &str, function: &str, arguments: &[Argument], expected: &Call) {
        // What is rewritten takes more instructions, so only what they leave is compared.
        let original = Call { fuel: None, ..self.original.call(function, arguments) };
        check_equal(case, "rewriting and the original with the flag", expected, &original);
    }
}

#[test]
fn guests_leave_the_same_bytes_on_every_engine() {
    let engines = Engines::new();
    let mut odd = 0;
    for case in cases() {
        let everywhere = Everywhere::new(&engines, &case.component, "apply");
        for batch in &case.batches {
            let name = format!("{}, {} rows, seed {SEED}", case.name, batch.num_rows());
            let words = words(&case.view.inputs, batch);
            let odd_words = with_odd_nans(words.clone());
            odd += usize::from(odd_words != words);
            let arguments = Argument::batch(batch.num_rows() as u32, &words);
            let left = everywhere.call(&name, "apply", &arguments);
            everywhere.check_original(&name, "apply", &arguments, &left);
            everywhere.call(&name, "apply", &Argument::batch(batch.num_rows() as u32, &odd_words));
        }
    }
    assert!(odd >= 8, "{odd} batches had NaNs");
}
