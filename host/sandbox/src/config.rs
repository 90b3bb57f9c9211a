//! The sandbox's settings, and the engine configuration that all components share.

use std::path::PathBuf;

use trifold_model::RowLimits;
use wasmtime::{
    Config, Enabled, Inlining, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, RegallocAlgorithm,
    WasmBacktraceDetails,
};

use crate::compile::Compiler;
use crate::limits::{CORE_INSTANCES, MEMORIES, OUTPUT_PER_MEMORY, STACK_BYTES, TABLE_ELEMENTS, TABLES};
use crate::nan;

/// What a host may choose. None of it changes a value.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Where compiled components are kept; `None` compiles at every start.
    pub cache_dir: Option<PathBuf>,
    /// How many calls run at once. Callers beyond it wait for a free instance.
    pub instances_max: u32,
    /// The largest component that is admitted, in bytes.
    pub component_bytes_max: usize,
    /// The most rows of one call.
    pub batch_rows_max: usize,
    /// What compiles components; `None` compiles in this process, without a limit.
    pub compiler: Option<Compiler>,
}

impl Default for SandboxConfig {
    /// - `instances_max` 64: calls occupy a processor, so more than the machine has only wait in another place.
    ///   Each instance reserves 4 GiB of address space, 256 GiB in all, of the 128 TiB that a process has.
    /// - `component_bytes_max` 32 MiB: a transform with the whole of std is below 1 MiB; the rest is for tables.
    /// - `batch_rows_max` 4096: the cost of a call is below 1 % of the rows' from there on, and ten columns of
    ///   it stay within the second-level cache.
    fn default() -> Self {
        SandboxConfig {
            cache_dir: None,
            instances_max: 64,
            component_bytes_max: 32 << 20,
            batch_rows_max: 4096,
            compiler: None,
        }
    }
}

/// Instances that the publish gate may keep over calls, beside `instances_max`: two components are compared at
/// a time, and a few gates may run at once.
pub(crate) const WARM_INSTANCES_MAX: u32 = 8;

/// Address space of a memory: the whole of what 32 bits reach, so that compiled code needs no bounds checks.
const MEMORY_RESERVATION_BYTES: u64 = 4 << 30;
/// Dirty memory that is zeroed by hand between calls instead of given back, which saves the page faults of the
/// next call. Measured: without it a call of one row took 10 instead of 5 us, and a call of 4,096 rows of four numbers
/// 115 us with half of this and 86 with this; more gained nothing, and every byte kept is zeroed after every call.
/// Only where the system can say which pages are dirty; elsewhere the first bytes of the memory would be zeroed
/// each time, and those are the unused end of the guest's stack.
const KEEP_RESIDENT_BYTES: usize = 512 << 10;
/// The same for function tables, which are a few hundred bytes.
const TABLE_KEEP_RESIDENT_BYTES: usize = 16 << 10;

/// The engine and its major version: another one may count fuel in another way.
const ENGINE: &str = "wasmtime 48";

/// What a unit of fuel means: the engine that counts, and the rewriter whose instructions it counts too.
pub fn fuel_counted_by() -> String {
    format!("{ENGINE} after rewriter {}", nan::REWRITER)
}

/// The settings and limits that decide what a row comes to.
#[derive(Debug)]
pub(crate) struct Semantics {
    relaxed_simd: bool,
    fuel: bool,
    wasm_stack_bytes: usize,
    memory_reservation_bytes: u64,
    #[expect(dead_code, reason = "read where the settings are named")]
    table_elements: usize,
    #[expect(dead_code, reason = "read where the settings are named")]
    output_per_memory: usize,
}

impl Semantics {
    /// The one setting that is in force.
    pub(crate) const CURRENT: Semantics = Semantics {
        // Relaxed instructions may differ between processors by definition.
        relaxed_simd: false,
        fuel: true,
        wasm_stack_bytes: STACK_BYTES,
        memory_reservation_bytes: MEMORY_RESERVATION_BYTES,
        table_elements: TABLE_ELEMENTS,
        output_per_memory: OUTPUT_PER_MEMORY,
    };

    /// What decides a row's value and verdict beside the component. It is part of the compile cache's key, as the engine
    /// itself does not check all of it when it loads code, and of [`trifold_model::ComputationId`].
    pub(crate) fn named() -> String {
        format!("{}, {:?}", fuel_counted_by(), Self::CURRENT)
    }
}

/// The engine's configuration.
pub(crate) fn engine_config(config: &SandboxConfig) -> Config {
    let mut engine = compiler_config();
    engine.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config)));
    engine
}

/// The same for an engine that runs nothing.
pub(crate) fn compiler_config() -> Config {
    let semantics = Semantics::CURRENT;
    let mut engine = Config::new();
    engine
        // Components are rewritten instead, which costs a fraction.
        .cranelift_nan_canonicalization(false)
        .wasm_relaxed_simd(semantics.relaxed_simd)
        .relaxed_simd_deterministic(true)
        .consume_fuel(semantics.fuel)
        .max_wasm_stack(semantics.wasm_stack_bytes)
        .memory_reservation(semantics.memory_reservation_bytes)
        .memory_may_move(false)
        // Measured: calls are 40 % cheaper without the bookkeeping of concurrent guests.
        .concurrency_support(false)
        // A memory of 64 bits would need bounds checks and is larger than any limit; several memories would
        // each have the row's limit.
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_component_model(true)
        // The message of a panic comes through `diagnostics`; a backtrace would cost on every trap.
        .wasm_backtrace_max_frames(None)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .generate_address_map(false)
        // Fuel is kept in a register within a function and goes through memory at every call.
        .compiler_inlining(Inlining::Yes)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking);
    engine
}

fn pool(config: &SandboxConfig) -> PoolingAllocationConfig {
    let instances = config.instances_max.saturating_add(WARM_INSTANCES_MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        .total_memories(instances.saturating_mul(MEMORIES))
        .total_tables(instances.saturating_mul(TABLES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .max_memories_per_module(MEMORIES)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(memory_bytes_max())
        // Slots of components that are no longer called are reused before fresh ones.
        .max_unused_warm_slots(instances)
        .pagemap_scan(Enabled::Auto);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.linear_memory_keep_resident(KEEP_RESIDENT_BYTES).table_keep_resident(TABLE_KEEP_RESIDENT_BYTES);
    }
    pool
}

/// The most that any version may ask for.
pub(crate) fn memory_bytes_max() -> usize {
    usize::try_from(*RowLimits::MEMORY_BYTES.end()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_the_one_that_is_linked() {
        let manifest = include_str!("../../../Cargo.toml");
        let line = manifest.lines().find(|line| line.starts_with("wasmtime = ")).unwrap();
        assert!(line.contains(&format!("version = \"{}\"", ENGINE.strip_prefix("wasmtime ").unwrap())), "{line}");
    }
}
