//! Transforms written in WebAssembly text, so that tests can have guests that no SDK would build.
//!
//! A [`Guest`] is a description (what `describe` returns) and the body of `apply`. [`unruly`] is one guest that
//! does, row by row, whatever its inputs tell it to.

mod unruly;
mod view;

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve};

pub use unruly::{Act, unruly};
pub use view::{field, row_view};

/// Where the text of `describe` stands in the guest's memory. Everything below is scratch.
const TEXT_AT: usize = 4096;
const PAGE_BYTES: usize = 1 << 16;

/// A transform to be built.
///
/// The body of `apply` is a function body with the parameters `$rows`, `$words` (a pointer) and `$count` (of
/// words), which returns a pointer. It may call:
/// - `$alloc (bytes) -> pointer`, aligned to eight, never freed;
/// - `$answer (rows, words, count, rejections, count) -> pointer` and `$fail (text, bytes) -> pointer` to make
///   what `apply` returns; a rejection is row `u32`, code `u16`, padding, text pointer, text bytes;
/// - `$log (level, text, bytes)` and `$panic (text, bytes)`.
#[derive(Debug, Clone)]
pub struct Guest {
    description: String,
    apply: String,
    items: String,
    pages: usize,
    world: String,
    wit: Option<String>,
}

impl Guest {
    /// A guest of the world `row-transform` that rejects nothing and answers its input's words.
    pub fn new(description: impl ToString) -> Self {
        Guest {
            description: description.to_string(),
            apply: "(call $answer (local.get $rows) (local.get $words) (local.get $count) (i32.const 0) (i32.const 0))"
                .to_owned(),
            items: String::new(),
            pages: 2,
            world: "row-transform".to_owned(),
            wit: None,
        }
    }

    /// Sets the body of `apply`.
    #[must_use]
    pub fn apply(mut self, body: impl Into<String>) -> Self {
        self.apply = body.into();
        self
    }

    /// Adds functions, globals, tables or data to the module.
    #[must_use]
    pub fn items(mut self, items: &str) -> Self {
        self.items.push_str(items);
        self
    }

    /// Sets the pages of memory to begin with.
    #[must_use]
    pub fn pages(mut self, pages: usize) -> Self {
        self.pages = pages;
        self
    }

    /// Takes another world of the contract's package, or of `wit`, a package of its own that may use it.
    #[must_use]
    pub fn world(mut self, world: &str, wit: Option<&str>) -> Self {
        self.world = world.to_owned();
        self.wit = wit.map(str::to_owned);
        self
    }

    /// The core module's text.
    pub fn wat(&self) -> String {
        let text = self.description.as_bytes();
        let heap = (TEXT_AT + text.len()).next_multiple_of(8);
        let pages = self.pages.max(heap.div_ceil(PAGE_BYTES));
        format!(
            r#"(module
  (import "trifold:feature/diagnostics@1.0.0" "log" (func $log (param i32 i32 i32)))
  (import "trifold:feature/diagnostics@1.0.0" "panic" (func $panic (param i32 i32)))
  (memory (export "memory") {pages})
  (global $heap (mut i32) (i32.const {heap}))
  (data (i32.const {TEXT_AT}) "{data}")
  {HELPERS}
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (call $alloc (local.get 3)))
  (func (export "describe") (result i32)
    (i32.store (i32.const 16) (i32.const {TEXT_AT}))
    (i32.store (i32.const 20) (i32.const {length}))
    (i32.const 16))
  (func (export "apply") (param $rows i32) (param $words i32) (param $count i32) (result i32)
    {apply})
  {items})"#,
            data = escaped(text),
            length = text.len(),
            apply = self.apply,
            items = self.items,
        )
    }

    /// The core module, which is not a component yet.
    pub fn module(&self) -> anyhow::Result<Vec<u8>> {
        Ok(wat::parse_str(self.wat())?)
    }

    /// The component.
    pub fn build(&self) -> anyhow::Result<Vec<u8>> {
        component(&self.wat(), &self.world, self.wit.as_deref())
    }
}

/// Turns a core module's text into a component of a world of the contract, or of `wit`.
pub fn component(wat: &str, world: &str, wit: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (mut package, _) = resolve.push_dir(&contract).context("the contract does not parse")?;
    if let Some(wit) = wit {
        package = resolve.push_str("guest.wit", wit)?;
    }
    encode(wat, &resolve, package, world)
}

/// The same for a world of `wit` alone, which may call itself what it likes.
pub fn lone_component(wat: &str, world: &str, wit: &str) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("guest.wit", wit)?;
    encode(wat, &resolve, package, world)
}

fn encode(wat: &str, resolve: &Resolve, package: PackageId, world: &str) -> anyhow::Result<Vec<u8>> {
    let mut module = wat::parse_str(wat)?;
    let world = resolve.select_world(&[package], Some(world))?;
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().module(&module)?.validate(true).encode()
}

/// `bytes` in the text format's quotes.
pub fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}

const HELPERS: &str = r"
  (func $alloc (param $bytes i32) (result i32) (local $at i32) (local $end i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (if (i32.gt_u (local.get $end) (i32.shl (memory.size) (i32.const 16)))
      (then (drop (memory.grow (i32.add (i32.shr_u
        (i32.sub (local.get $end) (i32.shl (memory.size) (i32.const 16))) (i32.const 16)) (i32.const 1))))))
    (global.set $heap (local.get $end))
    (local.get $at))
  (func $answer (param $rows i32) (param $words i32) (param $count i32) (param $rejections i32)
      (param $rejected i32) (result i32)
    (i32.store8 (i32.const 32) (i32.const 0))
    (i32.store (i32.const 36) (local.get $rows))
    (i32.store (i32.const 40) (local.get $words))
    (i32.store (i32.const 44) (local.get $count))
    (i32.store (i32.const 48) (local.get $rejections))
    (i32.store (i32.const 52) (local.get $rejected))
    (i32.const 32))
  (func $fail (param $text i32) (param $bytes i32) (result i32)
    (i32.store8 (i32.const 32) (i32.const 1))
    (i32.store (i32.const 36) (local.get $text))
    (i32.store (i32.const 40) (local.get $bytes))
    (i32.const 32))";
