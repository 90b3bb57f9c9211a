//! What the engine's own way to the same bytes on every processor costs: a canonical NaN after every operation.

use std::hint::black_box;

use anyhow::Context;
use trifold_sandbox::{Budget, Slab};
use wasmparser::{Parser, Payload};
use wasmtime::{Config, Engine, Linker, Memory, Module, Store, TypedFunc};

use crate::guests::{self, Guest};
use crate::measure::{Effort, in_turns};
use crate::report::Entry;
use crate::sandbox::payments;

const NUMERIC: &str = "sandbox.flags.numeric.4096";
const ROWS: usize = 4096;

/// The entries of this module.
pub(crate) const NAMES: &[&str] = &[NUMERIC];

pub(crate) fn run(effort: Effort, _: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>> {
    let transform = guests::transform(Guest::NUMERIC)?;
    let inputs = payments(&transform, ROWS)?;
    let slab = Slab::new(&transform.view().inputs, &inputs, 0..ROWS);
    let mut words = vec![0; slab.words()];
    slab.write(&mut words);
    let mut flagged = Flagged::new(&guests::component(Guest::NUMERIC)?)?;
    flagged.call(&words)?;
    let (value, baseline) = in_turns(
        effort,
        // The first call would have failed too.
        || drop(black_box(flagged.call(black_box(&words)))),
        || drop(black_box(transform.apply(black_box(&inputs), &mut Budget::unlimited()))),
    );
    let rows = ROWS as f64;
    Ok(vec![Entry::new(NUMERIC, value / rows, baseline / rows)?])
}

/// The transform's own module, as it was built, in one instance that is kept.
struct Flagged {
    store: Store<()>,
    memory: Memory,
    alloc: TypedFunc<(i32, i32, i32, i32), i32>,
    apply: TypedFunc<(i32, i32, i32), i32>,
    free: TypedFunc<i32, ()>,
}

impl Flagged {
    fn new(component: &[u8]) -> anyhow::Result<Self> {
        let mut config = Config::new();
        config.cranelift_nan_canonicalization(true).consume_fuel(true);
        let engine = Engine::new(&config)?;
        let module = Module::new(&engine, transform_module(component)?)?;
        let mut store = Store::new(&engine, ());
        store.set_fuel(u64::MAX)?;
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_default_values(&mut store, &module)?;
        let instance = linker.instantiate(&mut store, &module)?;
        Ok(Flagged {
            memory: instance.get_memory(&mut store, "memory").context("the module has no memory")?,
            alloc: instance.get_typed_func(&mut store, "cabi_realloc")?,
            apply: instance.get_typed_func(&mut store, "apply")?,
            free: instance.get_typed_func(&mut store, "cabi_post_apply")?,
            store,
        })
    }

    fn call(&mut self, words: &[u64]) -> anyhow::Result<()> {
        let Flagged { store, memory, alloc, apply, free } = self;
        let bytes: &[u8] = bytemuck::cast_slice(words);
        let at = alloc.call(&mut *store, (0, 0, 8, bytes.len() as i32))?;
        memory.write(&mut *store, at as usize, bytes)?;
        let answer = apply.call(&mut *store, (ROWS as i32, at, words.len() as i32))?;
        Ok(free.call(store, answer)?)
    }
}

/// The largest module of a component; the others connect its import.
fn transform_module(component: &[u8]) -> anyhow::Result<&[u8]> {
    let mut largest: &[u8] = &[];
    for payload in Parser::new(0).parse_all(component) {
        if let Payload::ModuleSection { unchecked_range, .. } = payload? {
            let module = &component[unchecked_range];
            largest = if module.len() > largest.len() { module } else { largest };
        }
    }
    Ok(largest)
}
