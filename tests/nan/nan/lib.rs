//! An oracle for the rewriting of NaNs: random programs that hunt for the bits of NaNs, on Cranelift, on wasmtime's
//! Pulley interpreter, with the engine's own canonicalization on as well, and on wasmi.
#![cfg(test)]
#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod engines;
mod instructions;
mod program;

use engines::{Engines, memory_after};
use instructions::Hunt;
use program::program;
use trifold_sandbox::nan::rewrite_module;

const SEEDS: u64 = 1_500;

/// Runs a program and says where the first difference is.
#[track_caller]
fn check_equal(seed: u64, what: &str, left: &[u8], right: &[u8]) {
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

#[test]
fn rewritten_programs_leave_the_same_bytes_on_every_engine() {
    let engines = Engines::new();
    for seed in 0..SEEDS {
        let rewritten = rewrite_module(&program(seed, Hunt::AnyNan)).unwrap();
        let expected = memory_after(&engines.cranelift, &rewritten);
        check_equal(seed, "Cranelift and Pulley", &expected, &memory_after(&engines.pulley, &rewritten));
        check_equal(seed, "the flag off and on", &expected, &memory_after(&engines.flagged, &rewritten));
        check_equal(seed, "Cranelift and wasmi", &expected, &engines.memory_after_wasmi(&rewritten));
    }
}

#[test]
fn programs_that_make_nans_by_arithmetic_alone_are_as_with_the_flag() {
    let engines = Engines::new();
    for seed in 0..SEEDS {
        let original = program(seed, Hunt::ArithmeticNan);
        let rewritten = rewrite_module(&original).unwrap();
        let expected = memory_after(&engines.flagged, &original);
        check_equal(seed, "flag and rewriting", &expected, &memory_after(&engines.cranelift, &rewritten));
    }
}

/// A hunt that finds nothing must be able to find something.
#[test]
fn programs_that_are_not_rewritten_differ() {
    let engines = Engines::new();
    let differs = |seed: &u64| {
        let original = program(*seed, Hunt::ArithmeticNan);
        memory_after(&engines.cranelift, &original) != memory_after(&engines.flagged, &original)
    };
    let differing = (0..SEEDS).filter(differs).count();
    assert!(differing > SEEDS as usize / 10, "{differing} of {SEEDS}");
}
