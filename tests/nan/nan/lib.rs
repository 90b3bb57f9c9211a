//! An oracle for the rewriting of NaNs: random programs that hunt for the bits of NaNs, on Cranelift, on wasmtime's
//! Pulley interpreter, with the engine's own canonicalization on as well, and on wasmi; and what they leave against
//! digests that are the same on every processor.
#![cfg(test)]
#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod engines;
mod golden;
mod instructions;
mod program;
mod run;

use engines::Engines;
use golden::{Digests, Golden};
use instructions::Hunt;
use program::program;
use run::{Left, left, memory_after_wasmi};
use trifold_sandbox::nan::rewrite_module;

const SEEDS: u64 = 1_500;

/// What rewritten programs leave on x86-64 and on aarch64.
const ANY_NAN: Golden = Golden {
    memory: "92fd89d5e9dfd66b6ad91ba35addd54165c796a72440a574bc02d0024555c3d8",
    fuel: "ad1ff569208a14bba92c156fa8f0578504b96540373a436de5af6422cc26aab3",
};

/// The same, of programs that make NaNs by arithmetic alone.
const ARITHMETIC_NAN: Golden = Golden {
    memory: "94c5c4c237d56fda687967cd9cfccf0a8ff8088f53a8c083db421b1358428ff6",
    fuel: "6eaf1a334bac1995b76e42aa011ba0073122dfa390b99656bf0547f4afb0a8e4",
};

/// Compares two memories and says where the first difference is.
#[track_caller]
fn check_memory(seed: u64, what: &str, left: &[u8], right: &[u8]) {
    if let Some(at) = left.iter().zip(right).position(|(left, right)| left != right) {
        let word = at / 8 * 8..at / 8 * 8 + 8;
        panic!(
            "seed {seed}: {what} differ at byte {at}: {:02x?} against {:02x?}",
            &left[word.clone()],
            &right[word]
        );
    }
    assert_eq!(left.len(), right.len(), "seed {seed}: {what}");
}

/// Compares what two engines left of the same module.
#[track_caller]
fn check_equal(seed: u64, what: &str, left: &Left, right: &Left) {
    check_memory(seed, what, &left.memory, &right.memory);
    assert_eq!(left.fuel, right.fuel, "seed {seed}: the fuel of {what}");
}

#[test]
fn rewritten_programs_leave_the_same_bytes_on_every_engine_and_processor() {
    let engines = Engines::new();
    let mut digests = Digests::default();
    for seed in 0..SEEDS {
        let rewritten = rewrite_module(&program(seed, Hunt::AnyNan)).unwrap();
        let expected = left(&engines.cranelift, &rewritten);
        check_equal(seed, "Cranelift and Pulley", &expected, &left(&engines.pulley, &rewritten));
        check_equal(seed, "the flag off and on", &expected, &left(&engines.flagged, &rewritten));
        check_memory(
            seed,
            "Cranelift and wasmi",
            &expected.memory,
            &memory_after_wasmi(&engines.wasmi, &rewritten),
        );
        digests.add(&expected);
    }
    digests.check(&ANY_NAN);
}

#[test]
fn programs_that_make_nans_by_arithmetic_alone_are_as_with_the_flag() {
    let engines = Engines::new();
    let mut digests = Digests::default();
    for seed in 0..SEEDS {
        let original = program(seed, Hunt::ArithmeticNan);
        let rewritten = left(&engines.cranelift, &rewrite_module(&original).unwrap());
        let flagged = left(&engines.flagged, &original);
        check_memory(seed, "flag and rewriting", &flagged.memory, &rewritten.memory);
        digests.add(&rewritten);
    }
    digests.check(&ARITHMETIC_NAN);
}

/// Also where NaNs come from integers and memory, and where their signs are asked for.
#[test]
fn programs_that_keep_to_a_width_are_as_with_the_flag() {
    let engines = Engines::new();
    for seed in 0..SEEDS {
        let original = program(seed, Hunt::SameWidth);
        let rewritten = left(&engines.cranelift, &rewrite_module(&original).unwrap());
        check_memory(seed, "flag and rewriting", &left(&engines.flagged, &original).memory, &rewritten.memory);
    }
}

/// A hunt that finds nothing must be able to find something. What is not rewritten differs between processors, too, and
/// is in no digest.
#[test]
fn programs_that_are_not_rewritten_differ() {
    let engines = Engines::new();
    let differs = |seed: &u64| {
        let original = program(*seed, Hunt::ArithmeticNan);
        left(&engines.cranelift, &original).memory != left(&engines.flagged, &original).memory
    };
    let differing = (0..SEEDS).filter(differs).count();
    assert!(differing > SEEDS as usize / 10, "{differing} of {SEEDS}");
}
